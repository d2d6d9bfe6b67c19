/** A small part of the real MNIST as an IDX folder, for runs that must be short. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openData } from "../../shared/data/open.ts";
import { idxBytes } from "./files.ts";

/** Writes the first `train` and `test` digits of MNIST to `folder` under MNIST's file names. */
export async function writeMnistPart(folder: string, train: number, test: number): Promise<void> {
  const data = await openData({ kind: "mnist" });
  await mkdir(folder, { recursive: true });
  for (const [part, prefix, count] of [
    [data.train, "train", train],
    [data.test!, "t10k", test],
  ] as const) {
    const { features, targets } = part.transfer();
    const images = idxBytes([count, 28, 28], (features as Uint8Array).subarray(0, count * 784));
    await writeFile(join(folder, `${prefix}-images-idx3-ubyte`), images);
    await writeFile(join(folder, `${prefix}-labels-idx1-ubyte`), idxBytes([count], targets.subarray(0, count)));
  }
}
