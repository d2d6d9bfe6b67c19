/** What an ONNX file that cannot be trained gets: one coded error that names the file, the node or tensor, and what to do. */
import { readFileSync } from "node:fs";
import { describe, expect, it, test } from "vitest";
import type { ErrorCode } from "../../../../shared/errors.ts";
import { readOnnx } from "../../../../shared/graph/onnx/file.ts";
import { knownOperations, refuseProbabilities } from "../../../../shared/graph/onnx/import/importer.ts";
import { failureOf, refusalIfAny } from "../../../support/errors.ts";
import { imported } from "../../../support/imported.ts";
import { type FileParts, node, onnxFile, type Stored } from "../../../support/onnx-file.ts";

interface Refusal {
  readonly what: string;
  /** Or the bytes themselves. */
  readonly file: FileParts | Uint8Array;
  readonly output?: string;
  readonly sample?: readonly number[];
  readonly code?: ErrorCode;
  /** All of these are in the message. */
  readonly says: readonly string[];
  /** This is in the hint. */
  readonly hints?: string;
  /** The hint is a sentence, or empty where the graph itself refuses. */
  readonly hintEnds?: "." | "";
}

const whole = (...values: number[]): Stored => ({ shape: [values.length], values, type: "INT64" });
const ones = (...shape: number[]): Stored => ({
  shape,
  values: Array<number>(shape.reduce((a, b) => a * b, 1)).fill(1),
});
const product = node("MatMul", ["x", "w"], ["z"]);
const w = ones(4, 3);

const twice = { scales: { shape: [3], values: [1, 1, 2] } };
const enlarged = (coordinate_transformation_mode: string, nearest_mode: string): FileParts => ({
  nodes: [node("Resize", ["x", "", "scales"], ["y"], { coordinate_transformation_mode, nearest_mode })],
  inputs: { x: ["batch", 1, 4] },
  initialisers: twice,
});

/** Refused while the file is read. */
const damaged: readonly Refusal[] = [
  { what: "nothing", file: new Uint8Array(), says: ["no whole ONNX file"] },
  { what: "text", file: new TextEncoder().encode("<!doctype html>"), says: ["no whole ONNX file"] },
  { what: "no nodes", file: { nodes: [] }, says: ["no whole ONNX file", "it has no graph"] },
  {
    what: "a tensor without some of its values",
    file: { nodes: [product], initialisers: { w: { shape: [4, 3], values: [1, 2] } }, outputs: ["z"] },
    says: ["the tensor w [4, 3] has 2 values, not 12", "damaged"],
  },
  {
    what: "a constant without its tensor",
    file: { nodes: [node("Constant", [], ["c"], { value: { tensor: undefined } }), node("Add", ["x", "c"], ["y"])] },
    says: ['Constant "c" has no tensor in its value: the file is damaged'],
  },
  {
    what: "a node whose input nothing gives",
    file: { nodes: [node("Relu", ["gone"], ["y"])] },
    says: ['Relu "y" reads gone, which nothing before it gives'],
  },
  {
    what: "nodes in a circle",
    file: { nodes: [node("Add", ["x", "y"], ["z"]), node("Relu", ["z"], ["y"])] },
    says: ['Add "z" reads y, which nothing before it gives'],
  },
];

const types: readonly Refusal[] = [
  {
    what: "half floats",
    file: { nodes: [product], initialisers: { w: { ...w, type: "FLOAT16" } }, outputs: ["z"] },
    says: ["the tensor w [4, 3] is float16"],
  },
  {
    what: "an input of doubles",
    file: { nodes: [node("Relu", ["x"], ["y"])], inputType: "DOUBLE" },
    says: ["its input x is double"],
  },
  {
    what: "a conversion to half floats",
    file: { nodes: [node("Cast", ["x"], ["y"], { to: 10 })] },
    says: ['Cast "y": it converts to type 10'],
  },
];

const shapes: readonly Refusal[] = [
  {
    what: "samples of another size",
    file: { nodes: [node("Relu", ["x"], ["y"])], inputs: { x: ["batch", 5] } },
    code: "SHAPE_MISMATCH",
    says: ["its input x is [batch, 5], and was given [samples, 4]"],
  },
  {
    what: "a shape that is computed from the data",
    file: { nodes: [node("Cast", ["x"], ["z"], { to: 7 }), node("Reshape", ["x", "z"], ["y"])] },
    says: ['Reshape "y": its shape depends on the data'],
  },
  {
    what: "samples behind another axis",
    file: { nodes: [node("Reshape", ["x", "shape"], ["y"])], initialisers: { shape: whole(4, -1) } },
    says: ['Reshape "y": it puts the samples behind another axis'],
  },
  {
    what: "a mean of all samples",
    file: { nodes: [node("ReduceMean", ["x", "axes"], ["y"])], initialisers: { axes: whole(0) } },
    says: ['ReduceMean "y": it reduces over the samples'],
  },
  {
    what: "a place that is computed from the number of samples",
    file: {
      nodes: [node("Shape", ["x"], ["all"], { end: 1 }), node("Slice", ["x", "all", "end", "axes"], ["y"])],
      initialisers: { end: whole(4), axes: whole(1) },
    },
    says: ['Slice "y": its starts depends on the number of samples'],
  },
  {
    what: "a size that its input does not have",
    file: { nodes: [node("Reshape", ["x", "shape"], ["y"])], initialisers: { shape: whole(-1, 4, 0) } },
    says: ['Reshape "y": it has an axis 2, its input has 2'],
  },
  {
    what: "a matrix that does not fit",
    file: { nodes: [product], initialisers: { w: ones(5, 3) }, outputs: ["z"] },
    code: "SHAPE_MISMATCH",
    says: ['MatMul "z": ', "[samples, 4]", "[5, 3]"],
    hintEnds: "",
  },
  {
    what: "an order of axes that has one of them twice",
    file: {
      nodes: [node("Transpose", ["k"], ["z"], { perm: [0, 0] }), node("Add", ["x", "z"], ["y"])],
      initialisers: { k: { shape: [1, 4], values: [1, 2, 3, 4], type: "INT64" } },
    },
    says: ['Transpose "z": its perm is [0, 0]'],
  },
  {
    what: "samples moved behind another axis, as PyTorch's own attention does",
    file: { nodes: [node("Transpose", ["x"], ["y"], { perm: [1, 0] })] },
    says: ['Transpose "y": it moves the samples of [samples, 4] to axis 1'],
    hints: "F.scaled_dot_product_attention",
  },
  {
    what: "a graph that cannot be",
    file: {
      nodes: [
        node("Shape", ["x"], ["n"], { end: 1 }),
        node("Concat", ["one", "n"], ["states"], { axis: 0 }),
        node("ConstantOfShape", ["states"], ["z"]),
        node("MatMul", ["z", "x"], ["y"]),
      ],
      initialisers: { one: whole(1) },
    },
    says: ['ConstantOfShape "z": fill: [1, samples] has its samples at axis 1, not 0'],
    hints: "Samples are the first axis of every tensor",
  },
  {
    what: "none of the entries",
    file: { nodes: [node("Gather", ["x", "places"], ["y"], { axis: 1 })], initialisers: { places: whole() } },
    says: ['Gather "y": it takes no entries'],
  },
  {
    what: "an axis that is not there",
    file: { nodes: [node("Softmax", ["x"], ["y"], { axis: 3 })] },
    says: ['Softmax "y": it has an axis 3, its input has 2'],
  },
];

const operations: readonly Refusal[] = [
  {
    what: "an unknown one",
    file: { nodes: [product, node("LSTM", ["z"], ["y"])], initialisers: { w } },
    says: ['LSTM "y": Lockstep does not know the operation LSTM'],
  },
  {
    what: "one that every object has a property of the name of",
    file: { nodes: [node("constructor", ["x"], ["y"])] },
    says: ["does not know the operation constructor"],
  },
  {
    what: "unknown ones behind what is made for them, named all at once",
    file: {
      nodes: [
        node("Transpose", ["x"], ["t"], { perm: [1, 0] }),
        node("LSTM", ["t"], ["h"]),
        node("GRU", ["h"], ["g"]),
        node("LSTM", ["g"], ["y"]),
      ],
    },
    says: ['LSTM "h": Lockstep does not know the operations LSTM, GRU'],
  },
  {
    what: "one without derivative behind trained parameters",
    file: { nodes: [product, node("Floor", ["z"], ["y"])], initialisers: { w } },
    says: ['Floor "y": Floor has no derivative, and parameters before it are trained: w'],
  },
  {
    what: "whole numbers from trained parameters",
    file: { nodes: [product, node("Cast", ["z"], ["y"], { to: 7 })], initialisers: { w } },
    says: ['Cast "y": Cast has no derivative, and parameters before it are trained: w'],
  },
  ...(
    [
      ["asymmetric", "ceil"],
      ["asymmetric", "round_prefer_ceil"],
      ["half_pixel", "floor"],
      ["align_corners", "floor"],
    ] as const
  ).map(([coordinate, mode]) => ({
    what: `pixels repeated unevenly, ${coordinate} and ${mode}`,
    file: enlarged(coordinate, mode),
    sample: [1, 4],
    says: [`Resize "y": it enlarges 2 times with the coordinates ${coordinate} and the nearest mode ${mode}`],
  })),
  ...(
    [
      ["scales", { scales: { shape: [3], values: [2, 1, 2] } }, ["x", "", "scales"], {}],
      ["sizes", { sizes: whole(6, 1, 8) }, ["x", "", "", "sizes"], {}],
      ["scales of two axes", { scales: { shape: [2], values: [2, 2] } }, ["x", "", "scales"], { axes: [2, 0] }],
    ] as const
  ).map(([kind, initialisers, inputs, attributes]) => ({
    what: `samples enlarged by ${kind}`,
    file: {
      nodes: [node("Resize", [...inputs], ["y"], attributes)],
      inputs: { x: [3, 1, 4] },
      initialisers,
    },
    sample: [1, 4],
    says: ['Resize "y": it scales the samples, axis 0 of [samples, 1, 4]'],
    hints: "a scale of 1 in front",
  })),
  ...(
    [
      ["Pad", ["x", "sides"], { mode: "reflect" }, 'its mode is "reflect"', "Only constant is known"],
      ["ConvTranspose", ["x", "k"], { auto_pad: "SAME_UPPER" }, 'its auto_pad is "SAME_UPPER"', "Export it with pads"],
      ["ConvTranspose", ["x", "k"], { output_shape: [8, 8] }, "its output_shape is [8,8]", "output_padding instead"],
      ["MaxPool", ["x"], { kernel_shape: [2, 2], dilations: [2, 1] }, "its dilations is [2,1]", "windows without gaps"],
      ["MaxPool", ["x"], {}, "it has no kernel_shape", "damaged"],
      ["Resize", ["x", "", "twice"], { mode: "linear" }, 'its mode is "linear"', "Only nearest is known"],
    ] as const
  ).map(([type, inputs, attributes, says, hints]) => ({
    what: `${type}: ${says}`,
    file: {
      nodes: [node(type, [...inputs], ["y"], attributes)],
      inputs: { x: ["batch", 2, 4, 4] },
      initialisers: {
        k: ones(2, 1, 2, 2),
        sides: whole(0, 0, 1, 1, 0, 0, 1, 1),
        twice: { shape: [4], values: [1, 1, 2, 2] },
      },
    },
    sample: [2, 4, 4],
    says: [`${type} "y": ${says}`],
    hints,
  })),
  {
    what: "a triangle of samples",
    file: { nodes: [node("Trilu", ["x"], ["y"])] },
    says: ['Trilu "y": its input is [samples, 4], in which samples are rows of one matrix'],
    hints: "Samples stay the first axis",
  },
  {
    what: "sizes for a batch that is not said",
    file: {
      nodes: [node("Resize", ["x", "", "", "sizes"], ["y"])],
      inputs: { x: ["batch", 1, 4] },
      initialisers: { sizes: whole(3, 1, 8) },
    },
    sample: [1, 4],
    says: ['Resize "y": it scales the samples'],
    hints: "the batch's own size",
  },
  {
    what: "sizes of which an axis has less",
    file: {
      nodes: [node("Resize", ["x", "", "", "sizes"], ["y"], { keep_aspect_ratio_policy: "not_larger" })],
      inputs: { x: ["batch", 2, 4] },
      initialisers: { sizes: whole(1, 4, 12) },
    },
    sample: [2, 4],
    says: ['Resize "y": its keep_aspect_ratio_policy is "not_larger"'],
    hints: "the sizes that come of it",
  },
  {
    what: "operators older than any that are known",
    file: { nodes: [node("Relu", ["x"], ["y"])], operatorSet: 5 },
    says: ["it uses version 5 of the ONNX operators"],
  },
  {
    what: "operators newer than any that are known",
    file: { nodes: [node("Relu", ["x"], ["y"])], operatorSet: 99 },
    says: ["it uses version 99 of the ONNX operators"],
  },
];

const ends: readonly Refusal[] = [
  {
    what: "two inputs",
    file: { nodes: [node("Add", ["x", "mask"], ["y"])], inputs: { x: ["n", 4], mask: ["n", 4] } },
    says: ["y needs the inputs x, mask"],
  },
  {
    what: "two outputs, and none is asked for",
    file: { nodes: [product, node("Relu", ["z"], ["y"])], initialisers: { w }, outputs: ["y", "z"] },
    says: ["it has the outputs y, z"],
  },
  {
    what: "no tensor of the name that is asked for",
    file: { nodes: [product, node("Relu", ["z"], ["y"])], initialisers: { w } },
    output: "scores",
    says: ["nothing in it is named scores"],
  },
  {
    what: "an output that does not depend on the input",
    file: { nodes: [node("Relu", ["w"], ["y"])], initialisers: { w } },
    says: ["y does not depend on its input"],
  },
];

const all = {
  "a damaged file": damaged,
  "a wrong type": types,
  "a shape": shapes,
  "an operation": operations,
  "an end": ends,
};

describe.each(Object.entries(all))("%s", (_kind, refusals) => {
  test.each(refusals.map((refusal) => [refusal.what, refusal] as const))("%s", async (_what, refusal) => {
    const { file, output, sample = [4], code = "MODEL_INVALID", says, hints = "", hintEnds = "." } = refusal;
    const bytes = file instanceof Uint8Array ? file : onnxFile(file);
    const error = await failureOf(() => imported(bytes, sample, output));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(/^test\.onnx: /);
    for (const part of says) expect(error.message).toContain(part);
    expect(error.hint).toContain(hints);
    expect(error.hint.slice(-1)).toBe(hintEnds);
  });
});

it("tells in the README which operations are known", () => {
  const readme = readFileSync(new URL("../../../../README.md", import.meta.url), "utf8");
  const [, list = ""] = /^The operations known: (.*)\.$/m.exec(readme) ?? [];
  const named = Array.from(list.matchAll(/`(\w+)`/g), ([, name]) => name);
  expect(new Set(named)).toEqual(new Set(knownOperations));
});

it("takes an operation without derivative where nothing before it is trained", () => {
  const nodes = [node("Floor", ["x"], ["z"]), node("MatMul", ["z", "w"], ["y"])];
  expect(imported(onnxFile({ nodes, initialisers: { w } }), [4]).outputs).toMatchObject([{ name: "y" }]);
});

it("names the scores where a loss would be given probabilities", async () => {
  const bytes = onnxFile({ nodes: [product, node("Softmax", ["z"], ["y"])], initialisers: { w } });
  const file = readOnnx(bytes, "test.onnx");
  const error = await failureOf(() => refuseProbabilities(file, "y", "crossEntropy"));
  expect(error).toMatchObject({ code: "MODEL_INVALID" });
  expect(error.message).toContain('its output y is what Softmax "y" gives, and the loss crossEntropy takes scores');
  expect(error.hint).toContain("Take output: z");
  expect(() => refuseProbabilities(file, "z", "crossEntropy")).not.toThrow();
});

/** Files that PyTorch wrote; test/data/make-models.py says how. */
const written = [
  ["residual", [1, 28, 28]],
  ["transformer-torchscript", [12]],
] as const;
const read = (name: string): Uint8Array => readFileSync(new URL(`../../../data/${name}.onnx`, import.meta.url));

describe.each(written)("the file %s", (name, sample) => {
  it("is refused wherever it is cut off", async () => {
    const bytes = read(name);
    for (let part = 0; part < 50; part += 1) {
      const error = await failureOf(() => imported(bytes.subarray(0, Math.floor((part / 50) * bytes.length)), sample));
      expect(error.code).toBe("MODEL_INVALID");
    }
  });

  it("is read or refused with a code, whichever of its bytes is another", () => {
    const bytes = read(name);
    let refused = 0;
    for (let change = 0; change < 300; change += 1) {
      // Most of the bytes are weights; nodes and names lie at the front.
      const changed = bytes.slice();
      changed[(change * 37) % Math.min(12_000, bytes.length)]! ^= 1 + (change % 255);
      if (refusalIfAny(() => imported(changed, sample)) !== undefined) refused += 1;
    }
    expect(refused).toBeGreaterThan(50);
  });
});
