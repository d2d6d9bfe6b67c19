/** Every ONNX operation that is known computes what onnxruntime computes, in small files with one of them in it. */
import { readFileSync } from "node:fs";
import { describe, expect, it, test } from "vitest";
import { onnxRuntimeEngine } from "../../../../shared/engine/onnxruntime.ts";
import { fuse } from "../../../../shared/graph/fuse.ts";
import { readOnnx } from "../../../../shared/graph/onnx/file.ts";
import { storedParameters } from "../../../../shared/graph/onnx/import/importer.ts";
import { decodeGraph, encodeGraph } from "../../../../shared/graph/serialise.ts";
import { compileModel } from "../../../../shared/nn/model.ts";
import { product } from "../../../../shared/shape.ts";
import { bare, computed, imported } from "../../../support/imported.ts";
import { type Attribute, type FileNode, node, onnxFile, type Stored } from "../../../support/onnx-file.ts";
import { runOnce, someNumbers } from "../../../support/programs.ts";

interface Case {
  readonly type: string;
  /** One sample's shape; by default [4]. */
  readonly sample?: readonly number[];
  readonly attributes?: Readonly<Record<string, Attribute>>;
  /** What stands behind x among the inputs; undefined leaves one out. */
  readonly more?: readonly (Stored | undefined)[];
  readonly operatorSet?: number;
  readonly outputs?: readonly string[];
  /** Takes x to where the operation is defined. */
  readonly before?: "Abs" | "Exp";
}

let seed = 1;
const weights = (...shape: number[]): Stored => ({ shape, values: [...someNumbers(product(shape), (seed += 1))] });
const positive = (...shape: number[]): Stored => ({
  shape,
  values: weights(...shape).values.map((value) => 0.1 + Math.abs(value)),
});
const whole = (...values: number[]): Stored => ({ shape: [values.length], values, type: "INT64" });
const scalar = (value: number): Stored => ({ shape: [], values: [value] });
const float = (value: number): Attribute => ({ float: value });
const images = [2, 6, 5];

const cases: readonly Case[] = [
  ...[
    "Relu",
    "Sigmoid",
    "Tanh",
    "Softplus",
    "Softsign",
    "Erf",
    "Exp",
    "Abs",
    "Neg",
    "Sign",
    "Floor",
    "Ceil",
    "Round",
    "Selu",
    "HardSwish",
    "Mish",
    "Identity",
    "Dropout",
  ].map((type) => ({ type })),
  { type: "Log", before: "Exp" },
  { type: "Sqrt", before: "Abs" },
  { type: "Reciprocal", before: "Exp" },
  { type: "LeakyRelu", attributes: { alpha: float(0.2) } },
  { type: "Elu", attributes: { alpha: float(0.7) } },
  { type: "HardSigmoid", attributes: { alpha: float(0.3), beta: float(0.4) } },
  { type: "Gelu", operatorSet: 20 },
  { type: "Gelu", operatorSet: 20, attributes: { approximate: "tanh" } },
  { type: "PRelu", more: [positive(4)] },
  { type: "Clip", more: [scalar(-0.3), scalar(0.4)] },
  { type: "Clip", more: [undefined, scalar(0.4)] },
  { type: "Clip", operatorSet: 9, attributes: { min: float(0), max: float(0.5) } },
  { type: "Cast", attributes: { to: 1 } },
  ...["Add", "Sub", "Mul", "Div", "Max", "Min", "Sum", "Mean"].map((type) => ({ type, more: [positive(4)] })),
  { type: "Sub", more: [scalar(0.5)] },
  { type: "Pow", before: "Abs", more: [scalar(3)] },
  { type: "Pow", more: [scalar(2)] },
  { type: "Pow", before: "Exp", more: [positive(4)] },
  { type: "Pow", more: [{ shape: [1], values: [3] }] },
  { type: "Pow", more: [{ shape: [1, 4], values: [3, 2, 1, 4] }] },
  { type: "Pow", sample: [4, 2], before: "Abs", more: [positive(4, 2)] },
  { type: "Expand", sample: [1, 4], more: [whole(1, 3, 1)] },
  { type: "Gemm", attributes: { transB: 1 }, more: [weights(3, 4), weights(3)] },
  { type: "Gemm", attributes: { alpha: float(0.5), beta: float(2) }, more: [weights(4, 3), weights(1, 3)] },
  { type: "Gemm", more: [weights(4, 3)] },
  { type: "MatMul", more: [weights(4, 3)] },
  { type: "MatMul", sample: [5, 4], more: [weights(4, 3)] },
  { type: "MatMul", sample: [5, 4], more: [weights(1, 4, 3)] },
  {
    type: "Conv",
    sample: images,
    attributes: { pads: [1, 0, 1, 2], strides: [2, 1] },
    more: [weights(3, 2, 3, 3), weights(3)],
  },
  {
    type: "Conv",
    sample: images,
    attributes: { auto_pad: "SAME_UPPER", strides: [2, 2], group: 2 },
    more: [weights(4, 1, 2, 3)],
  },
  {
    type: "Conv",
    sample: images,
    attributes: { auto_pad: "SAME_LOWER" },
    more: [weights(3, 2, 2, 2)],
  },
  { type: "Conv", sample: [3, 9], attributes: { pads: [1, 2], strides: [2] }, more: [weights(4, 3, 3), weights(4)] },
  {
    type: "ConvTranspose",
    sample: images,
    attributes: { strides: [2, 2], pads: [1, 1, 0, 1], output_padding: [1, 0] },
    more: [weights(2, 3, 3, 3), weights(3)],
  },
  { type: "MaxPool", sample: images, attributes: { kernel_shape: [3, 2], strides: [1, 2], pads: [1, 0, 1, 1] } },
  { type: "MaxPool", sample: [3, 9], attributes: { kernel_shape: [3], strides: [2] } },
  { type: "AveragePool", sample: images, attributes: { kernel_shape: [3, 3], pads: [1, 1, 1, 1] } },
  {
    type: "AveragePool",
    sample: images,
    attributes: { kernel_shape: [3, 3], pads: [1, 1, 1, 1], count_include_pad: 1 },
  },
  { type: "GlobalAveragePool", sample: images },
  { type: "GlobalMaxPool", sample: images },
  { type: "LRN", sample: [7, 3, 2], attributes: { size: 5, alpha: float(0.5), beta: float(0.6), bias: float(2) } },
  {
    type: "BatchNormalization",
    sample: images,
    attributes: { epsilon: float(0.01) },
    more: [weights(2), weights(2), weights(2), positive(2)],
  },
  { type: "LayerNormalization", sample: [3, 4], more: [weights(4), weights(4)] },
  { type: "LayerNormalization", sample: [3, 4], attributes: { axis: 1, epsilon: float(0.1) }, more: [weights(3, 4)] },
  { type: "InstanceNormalization", sample: images, more: [weights(2), weights(2)] },
  { type: "Softmax", sample: [3, 4], attributes: { axis: 1 } },
  { type: "Softmax", sample: [3, 4], operatorSet: 11 },
  { type: "LogSoftmax", sample: [3, 4] },
  { type: "Hardmax" },
  { type: "Hardmax", sample: [3, 4], operatorSet: 11 },
  ...[
    "ReduceSum",
    "ReduceMean",
    "ReduceMax",
    "ReduceMin",
    "ReduceSumSquare",
    "ReduceL1",
    "ReduceL2",
    "ReduceLogSumExp",
  ].map((type) => ({
    type,
    sample: [3, 4],
    operatorSet: type === "ReduceSum" ? 13 : 18,
    more: [whole(-1)],
  })),
  { type: "ReduceLogSum", before: "Exp", sample: [3, 4], operatorSet: 18, more: [whole(1)] },
  ...["ReduceMean", "ReduceSumSquare", "ReduceL2"].map((type) => ({
    type,
    operatorSet: 18,
    attributes: { noop_with_empty_axes: 1 },
  })),
  { type: "ReduceMean", sample: [3, 4], operatorSet: 13, attributes: { axes: [1, 2], keepdims: 0 } },
  { type: "Reshape", sample: [3, 4], more: [whole(0, 2, -1)] },
  { type: "Reshape", sample: [3, 4], more: [whole(-1, 4)] },
  { type: "Flatten", sample: [3, 4] },
  { type: "Flatten", sample: [3, 4], attributes: { axis: 2 } },
  { type: "Squeeze", sample: [1, 4], more: [whole(1)] },
  { type: "Unsqueeze", more: [whole(1, -1)] },
  { type: "Transpose", sample: [3, 4], attributes: { perm: [0, 2, 1] } },
  { type: "Concat", sample: [3, 4], attributes: { axis: -1 }, more: [{ ...weights(1, 3, 2), shape: [1, 3, 2] }] },
  { type: "Split", sample: [5], attributes: { axis: 1 }, more: [whole(2, 3)], outputs: ["y", "rest"] },
  { type: "Split", sample: [5], operatorSet: 18, attributes: { axis: -1, num_outputs: 2 }, outputs: ["y", "rest"] },
  { type: "Slice", sample: [5, 4], more: [whole(1, -3), whole(4, 2 ** 53 - 1), whole(1, 2)] },
  {
    type: "Slice",
    sample: [5, 4],
    operatorSet: 9,
    attributes: { starts: [0, 1], ends: [2 ** 31 + 1, -1], axes: [0, 1] },
  },
  // To the end, as exporters write it: the largest int32 and the largest int64.
  { type: "Slice", sample: [5], more: [whole(0, 2), whole(2 ** 31 - 1, 2 ** 31 - 1), whole(0, 1)] },
  { type: "Slice", sample: [5], more: [whole(0, 2), whole(2 ** 53 - 1, 2 ** 53 - 1), whole(0, 1)] },
  { type: "Gather", sample: [5, 4], attributes: { axis: 1 }, more: [whole(3, 0, -1)] },
  { type: "Gather", sample: [5, 4], attributes: { axis: 1 }, more: [whole(3, 4, 4, 1, 2, 3)] },
  { type: "Gather", sample: [5, 4], attributes: { axis: 1 }, more: [{ shape: [], values: [2], type: "INT64" }] },
  { type: "Pad", sample: [3, 4], more: [whole(0, 1, 0, 0, 0, 2), scalar(1.5)] },
  { type: "Pad", sample: [3, 4], more: [whole(0, 1, -1, 0, -1, 2)] },
  { type: "Tile", sample: [3, 4], more: [whole(1, 2, 3)] },
  { type: "Trilu", sample: [4, 4], attributes: { upper: 0 } },
  { type: "Trilu", sample: [4, 4], more: [{ shape: [], values: [1], type: "INT64" }] },
  { type: "Trilu", sample: [4, 4] },
  ...[
    [3, 5],
    [5, 3],
  ].flatMap((sample) =>
    [0, 1].flatMap((upper) =>
      [-7, -2, -1, 0, 1, 2, 7].map((k) => ({
        type: "Trilu",
        sample,
        attributes: { upper },
        more: [{ shape: [], values: [k], type: "INT64" as const }],
      })),
    ),
  ),
  { type: "DepthToSpace", sample: [8, 2, 3], attributes: { blocksize: 2 } },
  { type: "DepthToSpace", sample: [8, 2, 3], attributes: { blocksize: 2, mode: "CRD" } },
  {
    type: "Resize",
    sample: images,
    more: [undefined, { shape: [4], values: [1, 1, 2, 3] }],
    attributes: { coordinate_transformation_mode: "asymmetric", nearest_mode: "floor" },
  },
  { type: "Resize", sample: images, more: [undefined, { shape: [4], values: [1, 1, 2, 3] }] },
  {
    type: "Resize",
    sample: images,
    more: [undefined, { shape: [2], values: [2, 3] }],
    attributes: { axes: [2, 3], coordinate_transformation_mode: "asymmetric", nearest_mode: "floor" },
  },
];

/** A file with one operation between x and y. */
function fileOf({
  type,
  sample = [4],
  attributes = {},
  more = [],
  operatorSet,
  outputs = ["y"],
  before,
}: Case): Uint8Array {
  const names = more.map((stored, place) => (stored === undefined ? "" : `w${place}`));
  const initialisers = Object.fromEntries(
    more.flatMap((stored, place) => (stored === undefined ? [] : [[`w${place}`, stored]])),
  );
  const first: FileNode[] = before === undefined ? [] : [{ type: before, inputs: ["x"], outputs: ["z"] }];
  const nodes = [...first, { type, inputs: [before === undefined ? "x" : "z", ...names], outputs, attributes }];
  return onnxFile({
    nodes,
    inputs: { x: ["batch", ...sample] },
    initialisers,
    ...(operatorSet === undefined ? {} : { operatorSet }),
  });
}

function expectEqual(found: Float32Array, wanted: Float32Array, tolerance = 2e-6): void {
  expect(found.length).toBe(wanted.length);
  const scale = Math.max(1e-3, ...wanted.map(Math.abs));
  const worst = Math.max(...found.map((value, entry) => Math.abs(value - (wanted[entry] as number))));
  expect(worst / scale).toBeLessThan(tolerance);
}

describe("an operation of an ONNX file computes what onnxruntime computes", () => {
  test.each(
    cases.map((each, place) => [`${place} ${each.type} ${JSON.stringify(each.attributes ?? {})}`, each] as const),
  )("%s", async (_name, each) => {
    const bytes = fileOf(each);
    const sample = each.sample ?? [4];
    const samples = each.type === "Concat" ? 1 : 3;
    const features = someNumbers(samples * product(sample), 7);
    expectEqual(await computed(bytes, sample, samples, features), await bare(bytes, [samples, ...sample], features));
  });
});

interface Chain {
  readonly what: string;
  readonly nodes: readonly FileNode[];
  readonly initialisers?: Readonly<Record<string, Stored>>;
  readonly sample?: readonly number[];
  readonly operatorSet?: number;
}

const toFloat = node("Cast", ["z"], ["y"], { to: 1 });
/** Where x is above 0. */
const isPositive = node("Greater", ["x", "zero"], ["p"]);
const chains: readonly Chain[] = [
  {
    what: "truth values from numbers choose",
    nodes: [node("Cast", ["x"], ["z"], { to: 9 }), node("Where", ["z", "w", "x"], ["y"])],
    initialisers: { w: weights(4) },
  },
  {
    what: "the triangle above what is infinite",
    nodes: [node("Div", ["x", "w"], ["q"]), node("Trilu", ["q"], ["y"])],
    initialisers: { w: { shape: [2, 2], values: [1, 1, 0, 1] } },
    sample: [2, 2],
  },
  {
    what: "the logarithm where there is one",
    nodes: [isPositive, node("Log", ["x"], ["l"]), node("Where", ["p", "l", "zero"], ["y"])],
    initialisers: { zero: scalar(0) },
  },
  {
    what: "the quotient where there is one, chosen last",
    nodes: [node("Equal", ["x", "zero"], ["e"]), node("Div", ["w", "x"], ["q"]), node("Where", ["e", "x", "q"], ["y"])],
    initialisers: { zero: scalar(0), w: weights(4) },
  },
  { what: "whole numbers from fractions", nodes: [node("Cast", ["x"], ["z"], { to: 7 }), toFloat] },
  {
    what: "whole numbers from truth values",
    nodes: [
      node("Greater", ["x", "w"], ["t"]),
      node("Not", ["t"], ["n"]),
      node("Cast", ["n"], ["z"], { to: 6 }),
      toFloat,
    ],
    initialisers: { w: scalar(0.1) },
  },
  {
    what: "the largest within a border of the infinite",
    nodes: [node("Pad", ["x", "sides", "least"], ["z"]), node("MaxPool", ["z"], ["y"], { kernel_shape: [2] })],
    initialisers: { sides: whole(0, 0, 1, 0, 0, 1), least: scalar(-Infinity) },
    sample: [2, 4],
  },
  {
    what: "digits within a border of large numbers",
    nodes: [node("Pad", ["x", "sides", "most"], ["z"]), node("Slice", ["z", "one", "last", "axis"], ["y"])],
    initialisers: { sides: whole(0, 1, 0, 1), most: scalar(-1e9), one: whole(1), last: whole(-1), axis: whole(1) },
  },
  {
    what: "the logarithm of a sum of large powers",
    nodes: [node("Mul", ["x", "w"], ["z"]), node("ReduceLogSumExp", ["z"], ["y"], { axes: [1], keepdims: 0 })],
    initialisers: { w: scalar(500) },
    operatorSet: 13,
  },
  ...[0, 1].map((fmod) => ({
    what: `the rest of known numbers, fmod ${fmod}`,
    nodes: [
      node("Mod", ["from", "by"], ["m"], { fmod }),
      node("Cast", ["m"], ["z"], { to: 1 }),
      node("Add", ["x", "z"], ["y"]),
    ],
    initialisers: { from: whole(-7, 7, 5, -6), by: whole(3, -3, 3, 3) },
  })),
  {
    // As torch.onnx.export(dynamo=False) writes torch's pads, which it has from the last axis to the first.
    what: "pads that are turned",
    nodes: [
      node("Concat", ["pads", "zeros"], ["all"], { axis: 0 }),
      node("Reshape", ["all", "pairs"], ["rows"]),
      node("Slice", ["rows", "last", "first", "zero", "last"], ["turned"]),
      node("Transpose", ["turned"], ["sides"], { perm: [1, 0] }),
      node("Reshape", ["sides", "last"], ["flat"]),
      node("Cast", ["flat"], ["whole"], { to: 7 }),
      node("Pad", ["x", "whole"], ["y"]),
    ],
    initialisers: {
      pads: whole(1, 2, 0, 3),
      zeros: whole(0, 0),
      pairs: whole(-1, 2),
      last: whole(-1),
      first: whole(1 - 2 ** 53),
      zero: whole(0),
    },
    sample: [2, 3],
  },
  {
    what: "every other one of known numbers",
    nodes: [
      node("Slice", ["places", "from", "to", "axes", "steps"], ["some"]),
      node("Gather", ["x", "some"], ["y"], { axis: 1 }),
    ],
    initialisers: {
      places: { shape: [2, 4], values: [0, 1, 2, 3, 3, 2, 0, 1], type: "INT64" },
      from: whole(-1, 3),
      to: whole(-5, 0),
      axes: whole(0, -1),
      steps: whole(-1, -2),
    },
  },
  {
    what: "pixels repeated to sizes that are computed from the data's own",
    nodes: [
      node("Shape", ["x"], ["all"]),
      node("Slice", ["all", "zero", "two"], ["front"]),
      node("Concat", ["front", "wide"], ["sizes"], { axis: 0 }),
      node("Resize", ["x", "", "", "sizes"], ["y"]),
    ],
    initialisers: { zero: whole(0), two: whole(2), wide: whole(8) },
    sample: [2, 4],
  },
  {
    what: "truth values from known fractions",
    nodes: [node("Cast", ["w"], ["z"], { to: 9 }), node("Where", ["z", "x", "zero"], ["y"])],
    initialisers: { w: scalar(0.5), zero: scalar(0) },
  },
];

describe("operations together compute what onnxruntime computes", () => {
  test.each(chains.map((chain) => [chain.what, chain] as const))("%s", async (_what, chain) => {
    const { nodes, initialisers = {}, sample = [4], operatorSet = 19 } = chain;
    const bytes = onnxFile({ nodes, initialisers, operatorSet, inputs: { x: ["batch", ...sample] } });
    // Some of them 0, and most beyond 1, as a few operations look at just that.
    const features = someNumbers(3 * product(sample), 7).map((value, at) => (at % 3 === 0 ? 0 : 3 * value));
    expectEqual(await computed(bytes, sample, 3, features), await bare(bytes, [3, ...sample], features));
  });
});

const manyPlaces = Array.from({ length: 200 }, (_, at) => (at * 7) % 9);
const many: readonly Chain[] = [
  {
    what: "entries taken",
    nodes: [node("Gather", ["x", "places"], ["y"], { axis: 1 })],
    initialisers: { places: whole(...manyPlaces) },
    sample: [9],
  },
  {
    what: "tensors joined",
    nodes: [
      node("Relu", ["x"], ["r"]),
      node(
        "Concat",
        manyPlaces.map((at) => (at > 4 ? "x" : "r")),
        ["y"],
        { axis: 1 },
      ),
    ],
  },
  { what: "repetitions", nodes: [node("Tile", ["x", "times"], ["y"])], initialisers: { times: whole(1, 100) } },
];

describe("more parts than a value may have inputs compute what onnxruntime computes, and travel to workers", () => {
  it.each(many.map((chain) => [chain.what, chain] as const))("%s", async (_what, chain) => {
    const { nodes, initialisers = {}, sample = [4] } = chain;
    const bytes = onnxFile({ nodes, initialisers, inputs: { x: ["batch", ...sample] } });
    const graph = imported(bytes, sample);
    expect(decodeGraph(structuredClone(encodeGraph(graph)))).toEqual(graph);
    const features = someNumbers(3 * product(sample), 7);
    expectEqual(await computed(bytes, sample, 3, features), await bare(bytes, [3, ...sample], features));
  });
});

it("takes a stored exponent as a constant, not as a parameter", () => {
  const bytes = onnxFile({ nodes: [node("Pow", ["x", "e"], ["y"])], initialisers: { e: { shape: [1], values: [3] } } });
  const names: string[] = [];
  imported(bytes, [4], undefined, (name) => void names.push(name));
  expect(names).toEqual([]);
});

describe("what a batch norm has seen never trains", () => {
  const stored = { a: positive(4), b: weights(4), m: weights(4), v: positive(4) };
  const alias = (name: string): FileNode => node("Identity", [name], [`${name}2`]);
  const norm = (...inputs: string[]): FileNode => node("BatchNormalization", ["x", ...inputs], ["y"]);
  const trained = { a: false, b: false };
  it.each([
    ["stored as such", [norm("a", "b", "m", "v")], { ...trained, m: true, v: true }],
    ["named by Identity", [alias("m"), alias("v"), norm("a", "b", "m2", "v2")], { ...trained, m: true, v: true }],
    ["stored as its scale and shift", [norm("a", "b", "b", "a")], trained],
    ["stored as these and named by Identity", [alias("a"), alias("b"), norm("a", "b", "b2", "a2")], trained],
    ["the other way round", [alias("a"), alias("b"), norm("a2", "b2", "b", "a")], trained],
  ] as const)("%s", async (_what, nodes, parameters) => {
    const names = Object.keys(parameters) as (keyof typeof stored)[];
    const bytes = onnxFile({ nodes, initialisers: Object.fromEntries(names.map((name) => [name, stored[name]])) });
    const found: Record<string, boolean> = {};
    const graph = imported(bytes, [4], undefined, (name, statistic) => void (found[name] = statistic));
    expect(found).toEqual(parameters);
    const features = someNumbers(12, 7);
    const wanted = await bare(bytes, [3, 4], features);
    expectEqual(await computed(bytes, [4], 3, features), wanted);
    // What is trained changes: the variance under the root stays what it was.
    const doubled = (name: string): Float32Array =>
      Float32Array.from(stored[name as "a"].values, (value) => (found[name] === false ? 2 * value : value));
    const fed = Object.fromEntries(Object.keys(found).map((name) => [`parameter:${name}`, doubled(name)]));
    const { y } = await runOnce(onnxRuntimeEngine(), fuse(graph, [3]), { features, ...fed });
    // a and b are a factor of all there is, where mean and variance do not follow them.
    expectEqual(
      y as Float32Array,
      wanted.map((value) => 2 * value),
    );
  });
});

describe("what a file stores once", () => {
  const norm = (input: string, scale: string, output: string): FileNode =>
    node("LayerNormalization", [input, scale, "shift"], [output]);
  const between = node("MatMul", ["n", "m"], ["z"]);
  const [w, scale, shift] = [weights(4, 4), positive(4), weights(4)];
  const common = { m: w, s: scale, shift };

  /** The gradients by parameter, each starting as it is stored. */
  async function gradients(nodes: readonly FileNode[], more: Readonly<Record<string, Stored>> = {}) {
    const file = readOnnx(onnxFile({ nodes, initialisers: { ...common, ...more } }), "test.onnx");
    const { train, parameters } = compileModel({
      inputShape: [4],
      target: { kind: "values", width: 4 },
      layers: [{ kind: "onnx", file: "test.onnx" }],
      loss: { kind: "meanSquaredError" },
      files: new Map([["test.onnx", file]]),
    });
    const stored = storedParameters(file);
    const fed = Object.fromEntries(parameters.map(({ name }) => [`parameter:${name}`, stored.get(name)!.values]));
    const numbers = { features: someNumbers(12, 7), targets: someNumbers(12, 8), ...fed };
    return runOnce(onnxRuntimeEngine(), fuse(train, [3]), numbers);
  }
  const apart = () => gradients([norm("x", "s", "n"), between, norm("z", "t", "y")], { t: scale });
  const namesOf = (outputs: object): string[] => Object.keys(outputs).filter((name) => name.startsWith("gradient:"));

  it("and names apart are parameters of their own, if they are vectors", async () => {
    const named = await gradients([node("Identity", ["s"], ["t"]), norm("x", "s", "n"), between, norm("z", "t", "y")]);
    const wanted = await apart();
    expect(namesOf(named).sort()).toEqual(["gradient:m", "gradient:s", "gradient:shift", "gradient:t"]);
    for (const name of namesOf(wanted)) expect(named[name], name).toEqual(wanted[name]);
  });

  it("and uses twice is one parameter with the sum of both gradients", async () => {
    const tied = await gradients([norm("x", "s", "n"), between, norm("z", "s", "y")]);
    const wanted = await apart();
    expect(namesOf(tied).sort()).toEqual(["gradient:m", "gradient:s", "gradient:shift"]);
    const [first, second] = [wanted["gradient:s"]!, wanted["gradient:t"]!];
    expectEqual(
      tied["gradient:s"] as Float32Array,
      Float32Array.from(first, (value, at) => value + second[at]!),
    );
  });

  it("and names apart is one parameter if it is a matrix, as where embedding and head are tied", async () => {
    const names = namesOf(
      await gradients([
        node("Identity", ["m"], ["k"]),
        norm("x", "s", "n"),
        between,
        node("MatMul", ["z", "k"], ["y"]),
      ]),
    );
    expect(names.sort()).toEqual(["gradient:m", "gradient:s", "gradient:shift"]);
  });
});

/** test/data/make-models.py says where they come from. */
const read = (name: string): Uint8Array => readFileSync(new URL(`../../../data/${name}.onnx`, import.meta.url));

describe("a file that PyTorch wrote computes what onnxruntime computes", () => {
  it.each([
    ["residual", [1, 28, 28], 3, "float32"],
    ["transformer-torchscript", [12], 3, "int64"],
    ["transformer-dynamo", [12], 3, "int64"],
    ["transformer-one", [12], 1, "int64"],
  ] as const)("%s", async (name, sample, samples, type) => {
    const bytes = read(name);
    const count = samples * product(sample);
    const features =
      type === "int64" ? Float32Array.from({ length: count }, (_, at) => (at * 17) % 50) : someNumbers(count, 5);
    const wanted = await bare(bytes, [samples, ...sample], features, type);
    expectEqual(await computed(bytes, sample, samples, features), wanted);
  });

  it("trains its parameters, under a number also where they were reshaped, and not the scale of its attention", () => {
    const stored = storedParameters(readOnnx(read("transformer-dynamo"), "transformer-dynamo.onnx"));
    expect([...stored.keys()]).toEqual(expect.arrayContaining(["layers.0.norm1.weight", "head.bias", "val_20"]));
    expect([...stored.keys()]).not.toContain("val_83");
  });

  it("has the scale and shift of a group norm once", () => {
    const norm = (scale: string, shift: string) => [
      node("Reshape", ["x", "groups"], ["a"]),
      node("InstanceNormalization", ["a", scale, shift], ["b"]),
      node("Reshape", ["b", "channels"], ["c"]),
      node("Mul", ["c", "val_21"], ["d"]),
      node("Add", ["d", "val_23"], ["y"]),
    ];
    const namesOf = (scale: string, shift: string): string[] => {
      const initialisers = {
        groups: whole(0, 2, -1),
        channels: whole(0, 4, 3),
        [scale]: { shape: [2], values: [1, 1] },
        [shift]: { shape: [2], values: [0, 0] },
        val_21: weights(4, 1),
        val_23: weights(4, 1),
      };
      const file = onnxFile({ nodes: norm(scale, shift), inputs: { x: ["batch", 4, 3] }, initialisers });
      return [...storedParameters(readOnnx(file, "test.onnx")).keys()];
    };
    expect(namesOf("val_8", "val_11")).toEqual(["val_21", "val_23"]);
    // What has a name in the module trains.
    expect(namesOf("norm.weight", "norm.bias")).toEqual(["norm.weight", "norm.bias", "val_21", "val_23"]);
  });

  it("also where it was exported for one sample and more are wanted", async () => {
    const features = Float32Array.from({ length: 36 }, (_, at) => (at * 17) % 50);
    const together = await computed(read("transformer-one"), [12], 3, features);
    const apart = await Promise.all(
      [0, 1, 2].map((sample) =>
        bare(read("transformer-one"), [1, 12], features.slice(12 * sample, 12 * sample + 12), "int64"),
      ),
    );
    expectEqual(together, Float32Array.from(apart.flatMap((scores) => [...scores])));
  });
});
