/**
 * The binary version of CIFAR-10 and CIFAR-100 (https://www.cs.toronto.edu/~kriz/cifar.html): records of a label byte, with 100
 * classes a coarse one before it, and 3 × 32 × 32 bytes, channel by channel.
 */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { createDataset, type Dataset } from "./dataset.ts";
import { bytesOfFile, featuresOf, invalidFile, type Destination } from "./files.ts";
import { imageEncoder } from "./images.ts";
import type { Parts } from "./parts.ts";
import type { SpecOf } from "./spec.ts";
import { unreadable } from "./unreadable.ts";

const PIXELS = 3 * 32 * 32;

/** Throws DATA_MISSING or DATA_INVALID. */
export async function openCifar({ path, classes = 10 }: SpecOf<"cifar">, to: Destination): Promise<Parts> {
  const names = await readdir(path).catch((cause: unknown) => {
    throw unreadable(path, cause);
  });
  const wanted =
    classes === 10
      ? { train: /^data_batch_\d+\.bin$/, test: /^test_batch\.bin$/ }
      : { train: /^train\.bin$/, test: /^test\.bin$/ };
  const filesOf = (pattern: RegExp): string[] =>
    names
      .filter((name) => pattern.test(name))
      .sort()
      .map((name) => join(path, name));
  const train = filesOf(wanted.train);
  if (train.length === 0)
    throw invalidFile(
      path,
      `no file is named ${classes === 10 ? "data_batch_1.bin" : "train.bin"}`,
      `The folder holds the files of the binary version with ${classes} classes.`,
    );
  const test = filesOf(wanted.test);
  const form = { path: "an image of CIFAR", width: 32, height: 32, channels: 3 } as const;
  const parts = { train: await part(train, classes, to), encoders: { image: imageEncoder(form, 3) } };
  return test.length === 0 ? parts : { ...parts, test: await part(test, classes, to) };
}

async function part(paths: readonly string[], classes: 10 | 100, to: Destination): Promise<Dataset> {
  const labelBytes = classes === 10 ? 1 : 2;
  const stride = labelBytes + PIXELS;
  const targets: number[] = [];
  const records = [];
  for (const path of paths) {
    const bytes = await bytesOfFile(path);
    const samples = bytes.length / stride;
    if (samples === 0 || !Number.isInteger(samples))
      throw invalidFile(
        path,
        `${bytes.length} bytes are no whole number of records of ${stride}`,
        "Fetch the file again; it may have been cut short.",
      );
    for (let at = labelBytes - 1; at < bytes.length; at += stride) {
      if (bytes[at]! >= classes)
        throw invalidFile(
          `${path} at offset ${at}`,
          `expected a label from 0 to ${classes - 1}, found ${bytes[at]}`,
          "Fetch the file again, or correct data.cifar.classes.",
        );
      targets.push(bytes[at]!);
    }
    records.push({ path, stored: "uint8", offset: labelBytes, stride, samples } as const);
  }
  return createDataset({
    sampleShape: [3, 32, 32],
    target: { kind: "class", classes },
    features: featuresOf(records, PIXELS, to),
    targets: Int32Array.from(targets),
  });
}
