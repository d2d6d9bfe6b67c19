/** A small part of the real MNIST as an IDX folder, for runs that must be short; and what a trained model makes of digits elsewhere. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { InferenceSession, Tensor } from "onnxruntime-node";
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

/** Correct answers of a model file on the test digits of an IDX folder, in bare onnxruntime and read without Lockstep. */
export async function correctInBareOnnxruntime(model: string, folder: string): Promise<number> {
  const images = (await readFile(join(folder, "t10k-images-idx3-ubyte"))).subarray(16);
  const labels = (await readFile(join(folder, "t10k-labels-idx1-ubyte"))).subarray(8);
  const session = await InferenceSession.create(model);
  const pixels = Float32Array.from(images, (byte) => byte / 255);
  const { probabilities } = await session.run({ input: new Tensor("float32", pixels, [labels.length, 28, 28]) });
  const rows = probabilities!.data as Float32Array;
  const best = (row: Float32Array): number => row.indexOf(Math.max(...row));
  return labels.filter((label, index) => best(rows.subarray(10 * index, 10 * index + 10)) === label).length;
}
