/**
 * What is printed for each kind of mistake in a model or its data, from the config as a person writes it: one message with what
 * is wrong and where, its code, what to do, and no stack.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { reportError } from "../../coordinator/cli/report-error.ts";
import { startRun } from "../../coordinator/run/run.ts";
import type { ErrorCode } from "../../shared/errors.ts";
import { bytesOf, npyBytes, npzBytes, safetensorsBytes, writeImages } from "../support/data-files.ts";
import { configFromFile } from "../support/config.ts";
import { temporaryFolder } from "../support/files.ts";
import { type FileParts, node, onnxFile, type Stored } from "../support/onnx-file.ts";

interface Mistake {
  readonly what: string;
  /** What the config says besides, or instead of, the data: eight images of 6 × 6 of three classes. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly files?: Readonly<Record<string, string | Uint8Array>>;
  /** PNG images of these widths and heights. */
  readonly images?: Readonly<Record<string, readonly [number, number]>>;
  readonly code: ErrorCode;
  /** All of these are in the message. */
  readonly says: readonly string[];
  readonly todo: string;
}

const floats = (count: number, at = -1, value = Number.NaN): Uint8Array =>
  bytesOf(Float32Array.from({ length: count }, (_, entry) => (entry === at ? value : entry % 7)));
const labels = npyBytes("<i4", [8], bytesOf(Int32Array.of(0, 1, 2, 0, 1, 2, 0, 1)));
const usual = { "x.npy": npyBytes("<f4", [8, 6, 6], floats(8 * 36)), "y.npy": labels };
const npy = { npy: { features: "x.npy", targets: "y.npy", classes: 3 } };

async function printed({ config, files = {}, images = {} }: Mistake): Promise<string> {
  const folder = await temporaryFolder();
  const all = { ...usual, ...files, "job.yaml": JSON.stringify({ data: npy, model: layers({ dense: 3 }), ...config }) };
  for (const [name, content] of Object.entries(all)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), content);
  }
  const pictures = Object.entries(images).map(([name, [width, height]]) => {
    const data = Array<number>(width * height).fill(0);
    return [name, { width, height, channels: 1 as const, data }] as const;
  });
  await writeImages(folder, Object.fromEntries(pictures));
  let text = "";
  try {
    const resolved = configFromFile(join(folder, "job.yaml"), { runs: join(folder, "runs"), port: "0" });
    const run = await startRun({ config: resolved, resume: false, localWorkers: 0 });
    run.stop();
    await run.finished;
  } catch (error) {
    reportError(error, { write: (part: string) => (text += part) });
  }
  return text.replaceAll(`${folder}/`, "");
}

const layers = (...list: readonly unknown[]) => ({ layers: list });
const csv = { csv: { train: "a.csv", target: "y" } };
const regression = { ...layers({ dense: 1 }), loss: "meanSquaredError" };

const product = node("MatMul", ["x", "w"], ["z"]);

/** A file m.onnx, whose input x is [batch, 36] and whose weights w are [36, 3], as the second layer of a model. */
function file(parts: FileParts, weights: Partial<Stored> = {}): Pick<Mistake, "files" | "config"> {
  const { shape = [36, 3] } = weights;
  const w = { shape, values: Array<number>(shape[0]! * shape[1]!).fill(1), ...weights };
  const bytes = onnxFile({ inputs: { x: ["batch", 36] }, initialisers: { w }, ...parts });
  return { files: { "m.onnx": bytes }, config: { model: layers({ flatten: {} }, { onnx: "m.onnx" }, { dense: 3 }) } };
}

const shapes: readonly Mistake[] = [
  {
    what: "a layer that wants images after one that gives rows",
    config: { model: layers({ dense: 20 }, { conv2d: { filters: 4, kernel: 3 } }, { dense: 3 }) },
    code: "SHAPE_MISMATCH",
    says: ["layers[1] (conv2d), given [samples, 20] by layers[0] (dense)", "[n, channels, height, width]"],
    todo: "a reshape to [channels, height, width] before it",
  },
  {
    what: "a window larger than what the layer before gives",
    config: { model: layers({ conv2d: { filters: 4, kernel: 5 } }, { maxPool: 3 }, { dense: 3 }) },
    code: "SHAPE_MISMATCH",
    says: ["layers[1] (maxPool), given [samples, 4, 2, 2] by layers[0] (conv2d)", "3×3 does not fit into 2×2"],
    todo: "smaller kernel",
  },
  {
    what: "groups that do not divide the channels",
    config: { model: layers({ conv2d: { filters: 4, kernel: 3 } }, { groupNorm: { groups: 3 } }, { dense: 3 }) },
    code: "SHAPE_MISMATCH",
    says: ["layers[1] (groupNorm), given [samples, 4, 4, 4] by layers[0] (conv2d)", "groups = 3"],
    todo: "divides the channels",
  },
  {
    what: "heads that do not divide the width",
    config: { model: layers({ reshape: [6, 6] }, { selfAttention: { heads: 4 } }, { dense: 3 }) },
    code: "SHAPE_MISMATCH",
    says: ["layers[1] (selfAttention), given [samples, 6, 6] by layers[0] (reshape)", "selfAttention of 4 heads"],
    todo: "heads divide the width",
  },
  {
    what: "another number of values",
    config: { model: layers({ dense: 20 }, { reshape: [3, 7] }, { dense: 3 }) },
    code: "SHAPE_MISMATCH",
    says: ["layers[1] (reshape), given [samples, 20] by layers[0] (dense)", "[samples, 3, 7]"],
    todo: "sizes whose product",
  },
  {
    what: "a branch of another shape than what it is added to",
    config: { model: layers({ dense: 20 }, { residual: [{ dense: 30 }] }, { dense: 3 }) },
    code: "SHAPE_MISMATCH",
    says: ["layers[1] (residual), given [samples, 20] by layers[0] (dense)", "[samples, 20] and float32 [samples, 30]"],
    todo: "last layer",
  },
  {
    what: "layers within a branch",
    config: {
      model: layers({ dense: 20 }, { residual: [{ dense: 30 }, { selfAttention: { heads: 2 } }] }, { dense: 3 }),
    },
    code: "SHAPE_MISMATCH",
    says: [
      "layers[1] (residual)",
      "1 (selfAttention), given [samples, 30] by 0 (dense): selfAttention wants a sequence",
    ],
    todo: "[positions, width]",
  },
  {
    what: "fewer outputs than classes",
    config: { model: layers({ dense: 20 }, { dense: 2 }) },
    code: "SHAPE_MISMATCH",
    says: ["layers[1] (dense) gives [samples, 2], the targets want [samples, 3]"],
    todo: "3 units",
  },
  {
    what: "one row where there is a target at every position",
    files: { "a.txt": "some text, and then some more of it" },
    config: { data: { text: { train: "a.txt", length: 4, predict: "each" } }, model: layers({ dense: 256 }) },
    code: "SHAPE_MISMATCH",
    says: ["layers[0] (dense) gives [samples, 256], the targets want [samples, 4, 256]"],
    todo: "linear, of 256 units",
  },
  {
    what: "weights of another shape",
    files: { "w.safetensors": safetensorsBytes({ "0.weight": ["F32", [3, 9], floats(27)] }) },
    config: { model: { ...layers({ dense: { units: 3, bias: false } }), weights: { file: "w.safetensors" } } },
    code: "WEIGHTS_INVALID",
    says: ["w.safetensors fits 0 of 1 parameters", "0.weight is [3, 36] in the model, [3, 9] in the file"],
    todo: "rename",
  },
];

const operations: readonly Mistake[] = [
  {
    what: "in a config",
    config: { model: layers({ convolution: { filters: 4 } }, { dense: 3 }) },
    code: "CONFIG_INVALID",
    says: ["job.yaml:1: model.layers[0]", 'found "convolution", expected one of dense,', "conv2d"],
    todo: "lockstep init",
  },
  {
    what: "in an ONNX file",
    ...file({ nodes: [product, node("LSTM", ["z"], ["y"])] }),
    code: "MODEL_INVALID",
    says: ['layers[1] (onnx), given [samples, 36] by layers[0] (flatten): m.onnx: LSTM "y": Lockstep does not know'],
    todo: "take an output before it",
  },
];

const types: readonly Mistake[] = [
  {
    what: "of an array",
    files: { "x.npy": npyBytes("<c8", [8, 2], new Uint8Array(128)) },
    config: {},
    code: "DATA_INVALID",
    says: ["x.npy: the array has the type <c8, expected one of", "<f4"],
    todo: "astype",
  },
  {
    what: "of a tensor of data",
    files: {
      "a.safetensors": safetensorsBytes({
        features: ["I64", [2, 2], new Uint8Array(32)],
        targets: ["F32", [2, 1], floats(2)],
      }),
    },
    config: { data: { safetensors: { train: "a.safetensors" } }, model: regression },
    code: "DATA_INVALID",
    says: ["a.safetensors: features has the type I64, expected one of F32, U8"],
    todo: "Convert",
  },
  {
    what: "of weights",
    files: { "w.safetensors": safetensorsBytes({ "0.weight": ["I32", [3, 36], new Uint8Array(432)] }) },
    config: { model: { ...layers({ dense: { units: 3, bias: false } }), weights: { file: "w.safetensors" } } },
    code: "WEIGHTS_INVALID",
    says: ["0.weight is I32 in the file, expected F32, F16 or BF16"],
    todo: "partial: true",
  },
  {
    what: "of an ONNX file's tensor",
    ...file({ nodes: [product], outputs: ["z"] }, { type: "FLOAT16" }),
    code: "MODEL_INVALID",
    says: ["m.onnx: the tensor w [36, 3] is float16"],
    todo: "Convert the model to float32",
  },
  {
    what: "of an ONNX file's input",
    ...file({ nodes: [product], outputs: ["z"], inputType: "DOUBLE" }),
    code: "MODEL_INVALID",
    says: ["m.onnx: its input x is double"],
    todo: "float32",
  },
  {
    what: "labels that are no whole numbers",
    files: { "y.npy": npyBytes("<f4", [8], bytesOf(Float32Array.of(0, 1, 2, 0, 1, 1.5, 2, 0))) },
    config: {},
    code: "DATA_INVALID",
    says: ["row 5 of y.npy: expected a label from 0 to 2, found 1.5"],
    todo: "Correct the label",
  },
  {
    what: "fractions where an embedding takes tokens",
    files: { "x.npy": npyBytes("<f4", [8, 4], floats(32, 9, 0.5)) },
    config: { model: layers({ embedding: { vocabulary: 10, width: 4 } }, { dense: 3 }) },
    code: "DATA_INVALID",
    says: ["feature 1 of training sample 2 is 0.5, and the model looks it up in a table of 10 rows"],
    todo: "An embedding takes tokens.",
  },
  {
    what: "bytes where an embedding takes tokens",
    files: { "x.npy": npyBytes("|u1", [8, 4], new Uint8Array(32).fill(51)) },
    config: { model: layers({ embedding: { vocabulary: 10, width: 4 } }, { dense: 3 }) },
    code: "DATA_INVALID",
    says: ["feature 0 of training sample 0 is 0.2"],
    todo: "Bytes are divided by 255: store them as int32.",
  },
  {
    what: "tokens beyond an embedding's vocabulary",
    files: { "x.npy": npyBytes("<f4", [8, 4], floats(32, 9, 12)) },
    config: { model: layers({ embedding: { vocabulary: 10, width: 4 } }, { dense: 3 }) },
    code: "DATA_INVALID",
    says: ["feature 1 of training sample 2 is 12", "a table of 10 rows, by the whole numbers from 0 to 9"],
    todo: "a vocabulary of at least 13",
  },
  {
    what: "tokens beyond an embedding's vocabulary in the test data",
    files: {
      "x.npy": npyBytes("<f4", [8, 4], floats(32)),
      "t.npy": npyBytes("<f4", [8, 4], floats(32, 9, 12)),
    },
    config: {
      data: { npy: { ...npy.npy, testFeatures: "t.npy", testTargets: "y.npy" } },
      model: layers({ embedding: { vocabulary: 10, width: 4 } }, { dense: 3 }),
    },
    code: "DATA_INVALID",
    says: ["feature 1 of test sample 2 is 12", "a table of 10 rows, by the whole numbers from 0 to 9"],
    todo: "a vocabulary of at least 13",
  },
  ...(["training", "test"] as const).map((part): Mistake => ({
    what: `${part} targets that are no probabilities under binary cross-entropy`,
    files: { "a.csv": "x,y\n1,1\n2,0\n3,0.5\n", "b.csv": "x,y\n1,1\n2,-0.5\n3,7\n" },
    config: {
      data: { csv: { train: part === "test" ? "a.csv" : "b.csv", test: "b.csv", target: "y" } },
      model: { ...regression, loss: "binaryCrossEntropy" },
    },
    code: "DATA_INVALID",
    says: [`the target of ${part} sample 1 is -0.5, and binaryCrossEntropy takes values from 0 to 1`],
    todo: "train with meanSquaredError",
  })),
  {
    what: "an embedding of what a layer computes",
    config: { model: layers({ dense: 4 }, { embedding: { vocabulary: 10, width: 4 } }, { dense: 3 }) },
    code: "CONFIG_INVALID",
    says: ["layers[1] (embedding), given [samples, 4] by layers[0] (dense): an embedding looks up whole numbers"],
    todo: "in front of them",
  },
];

const notNumbers: readonly Mistake[] = [
  {
    what: "in a CSV file",
    files: { "a.csv": "x,y\n1,1\nNaN,2\n" },
    config: { data: csv, model: regression },
    code: "DATA_INVALID",
    says: ['a.csv:3: column 1 (x): expected a number, found "NaN"'],
    todo: "Correct the cell or remove the row",
  },
  {
    what: "in a CSV file's targets",
    files: { "a.csv": "x,y\n1,1\n2,-inf\n" },
    config: { data: csv, model: regression },
    code: "DATA_INVALID",
    says: ["a.csv:3", '"-inf"'],
    todo: "Correct the cell or remove the row",
  },
  {
    what: "in JSON Lines",
    files: { "a.jsonl": '{"x":1,"y":1}\n{"x":NaN,"y":1}\n' },
    config: { data: { jsonLines: { train: "a.jsonl", target: "y" } }, model: regression },
    code: "DATA_INVALID",
    says: ["a.jsonl:2: "],
    todo: "JSON has no NaN",
  },
  {
    what: "in an array",
    files: { "x.npy": npyBytes("<f4", [8, 6, 6], floats(8 * 36, 40)) },
    config: {},
    code: "DATA_INVALID",
    says: ["feature 4 of row 1 of x.npy is NaN, expected a finite number"],
    todo: "Correct or leave out that sample",
  },
  {
    what: "in an array that stays in its file",
    files: { "x.npy": npyBytes("<f4", [8, 6, 6], floats(8 * 36, 40, Infinity)) },
    config: { dataMemory: 0 },
    code: "DATA_INVALID",
    says: ["feature 4 of row 1 of x.npy is Infinity"],
    todo: "Correct or leave out that sample",
  },
  {
    what: "in an archive",
    files: { "a.npz": npzBytes({ x_train: npyBytes("<f4", [8, 2], floats(16, 5)), y_train: labels }) },
    config: { data: { npz: { path: "a.npz", classes: 3 } } },
    code: "DATA_INVALID",
    says: ["feature 1 of row 2 of a.npz, array x_train is NaN"],
    todo: "Correct or leave out that sample",
  },
  {
    what: "in targets",
    files: { "y.npy": npyBytes("<f4", [8], floats(8, 3)) },
    config: { data: { npy: { features: "x.npy", targets: "y.npy" } }, model: regression },
    code: "DATA_INVALID",
    says: ["row 3 of y.npy: expected a finite number, found NaN"],
    todo: "Correct or leave out that sample",
  },
  {
    what: "in a tensor of data",
    files: {
      "a.safetensors": safetensorsBytes({
        features: ["F32", [2, 2], floats(4, 2)],
        targets: ["F32", [2, 1], floats(2)],
      }),
    },
    config: { data: { safetensors: { train: "a.safetensors" } }, model: regression },
    code: "DATA_INVALID",
    says: ["feature 0 of row 1 of a.safetensors is NaN"],
    todo: "Correct or leave out that sample",
  },
  {
    what: "in weights",
    files: { "w.safetensors": safetensorsBytes({ "0.weight": ["F32", [3, 36], floats(108, 40)] }) },
    config: { model: { ...layers({ dense: { units: 3, bias: false } }), weights: { file: "w.safetensors" } } },
    code: "WEIGHTS_INVALID",
    says: ["w.safetensors: 0.weight [3, 36] is NaN at [1, 4]"],
    todo: "take weights of an earlier state",
  },
  {
    what: "in an ONNX file",
    ...file(
      { nodes: [product], outputs: ["z"] },
      { values: Array.from({ length: 108 }, (_, at) => (at === 7 ? Number.NaN : 1)) },
    ),
    code: "MODEL_INVALID",
    says: ["m.onnx: the tensor w [36, 3] is NaN at [2, 1]"],
    todo: "export an earlier state",
  },
];

const images: readonly Mistake[] = [
  {
    what: "of mixed sizes",
    images: { "train/cat/1.png": [8, 8], "train/dog/1.png": [8, 8], "train/dog/2.png": [8, 9] },
    config: { data: { images: { train: "train" } }, model: layers({ dense: 2 }) },
    code: "DATA_INVALID",
    says: ["train/dog/2.png: the image is 8 × 9, train/cat/1.png is 8 × 8"],
    todo: "one size",
  },
  {
    what: "of another size to test on",
    images: {
      "train/cat/1.png": [8, 8],
      "train/dog/1.png": [8, 8],
      "test/cat/1.png": [9, 8],
      "test/dog/1.png": [9, 8],
    },
    config: { data: { images: { train: "train", test: "test" } }, model: layers({ dense: 2 }) },
    code: "DATA_INVALID",
    says: ["test/", "9 × 8", "8 × 8"],
    todo: "one size",
  },
];

const onnx: readonly Mistake[] = [
  {
    what: "that is cut off",
    files: { "m.onnx": file({ nodes: [product], outputs: ["z"] }).files!["m.onnx"]!.slice(0, 300) },
    config: { model: layers({ onnx: "m.onnx" }, { dense: 3 }) },
    code: "MODEL_INVALID",
    says: ["m.onnx: this is no whole ONNX file"],
    todo: "again",
  },
  {
    what: "without some of a tensor's values",
    ...file({ nodes: [product], outputs: ["z"] }, { values: [1, 2] }),
    code: "MODEL_INVALID",
    says: ["m.onnx: the tensor w [36, 3] has 2 values, not 108: the file is damaged"],
    todo: "again",
  },
  {
    what: "with a shape that depends on the data",
    ...file({ nodes: [node("Cast", ["x"], ["z"], { to: 7 }), node("Reshape", ["x", "z"], ["y"])] }),
    code: "MODEL_INVALID",
    says: ['m.onnx: Reshape "y": its shape depends on the data'],
    todo: "Shapes must follow from the sizes of a sample",
  },
  {
    what: "for samples of another size",
    ...file({ nodes: [node("Relu", ["x"], ["y"])], inputs: { x: ["batch", 40] } }),
    code: "SHAPE_MISMATCH",
    says: ["m.onnx: its input x is [batch, 40], and was given [samples, 36]", "layers[0] (flatten)"],
    todo: "such as reshape",
  },
  {
    what: "of a size that it leaves open and its weights do not",
    ...file({ nodes: [product], inputs: { x: ["batch", "width"] }, outputs: ["z"] }, { shape: [5, 3] }),
    code: "SHAPE_MISMATCH",
    says: ['m.onnx: MatMul "z": ', "[samples, 36]", "[5, 3]"],
    todo: "The file's weights want another shape",
  },
];

const all: Readonly<Record<string, readonly Mistake[]>> = {
  "shapes that do not fit": shapes,
  "an unknown operation": operations,
  "a wrong type": types,
  "what is no finite number": notNumbers,
  images,
  "an ONNX file": onnx,
};

describe.each(Object.entries(all))("%s", (_kind, mistakes) => {
  test.each(mistakes.map((mistake) => [mistake.what, mistake] as const))("%s", async (_what, mistake) => {
    const text = await printed(mistake);
    const [, message, code, todo] = /^error: (.*) \[([A-Z_]+)\]\n {2}what to do: (.+)\n$/s.exec(text) ?? [];
    expect(code, text).toBe(mistake.code);
    for (const part of mistake.says) expect(message).toContain(part);
    expect(todo).toContain(mistake.todo);
    expect(text).not.toMatch(/^ +at /m);
  });
});
