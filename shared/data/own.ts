/**
 * Datasets that a program makes itself. Workers are other processes, perhaps on other machines, and run no code they were not
 * installed with: so the samples are written to a safetensors file first, block by block, which is named by its content.
 */
import { createHash } from "node:crypto";
import { open, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { inspect } from "node:util";
import { errnoOf } from "../errno.ts";
import { LockstepError } from "../errors.ts";
import { makeFolders } from "../folders.ts";
import { product } from "../shape.ts";
import { suggestion } from "../suggest.ts";
import { checkAlike } from "./alike.ts";
import type { SpecOf } from "./spec.ts";
import { targetWidth, type TargetSpec } from "./target.ts";

export interface OwnDataset {
  /** The number of samples. */
  readonly length: number;
  /** The shape of one sample's features. */
  readonly sampleShape: readonly number[];
  readonly target: TargetSpec;
  /**
   * Writes the samples at `indices` as float32 rows [indices.length, ...sampleShape] into `features` and their targets, int32
   * [indices.length] for classes or float32 [indices.length, width] for values, into `targets`.
   */
  batch(indices: Uint32Array, features: Float32Array, targets: Int32Array | Float32Array): void | Promise<void>;
}

/** Samples that are asked for at a time. */
const BLOCK = 256;

/** Writes both parts into `folder`, and returns what a run is given in their place. Throws DATA_INVALID or DISK_FAILED. */
export async function writeOwn(
  parts: { readonly train: OwnDataset; readonly test?: OwnDataset },
  folder: string,
): Promise<SpecOf<"safetensors">> {
  const { train, test } = parts;
  checkParts(parts);
  checkOwn("train", train);
  if (test !== undefined) checkOwn("test", test);
  // What is written says no longer how many classes the targets had.
  if (test !== undefined) checkAlike("the datasets given as data", train, test);
  const { target } = train;
  const classes = target.kind === "class" ? { classes: target.classes } : {};
  const path = await written("train", train, folder);
  return {
    kind: "safetensors",
    train: path,
    ...(test === undefined ? {} : { test: await written("test", test, folder) }),
    ...classes,
  };
}

/** A misspelt part would not be missed, and the run go without it. */
function checkParts(parts: object): void {
  const known = ["train", "test"];
  const unknown = Object.keys(parts).find((part) => !known.includes(part));
  if (unknown === undefined) return;
  const hint = "Datasets of one's own are given as { train, test }, or train alone.";
  throw new LockstepError("DATA_INVALID", `data.${unknown}: unknown key${suggestion(unknown, known)}`, hint);
}

/** A program in plain JavaScript may give anything. */
function checkOwn(part: string, dataset: unknown): void {
  const { sampleShape, target, batch } = Object(dataset) as Partial<OwnDataset>;
  const isShape = Array.isArray(sampleShape) && sampleShape.every((side) => Number.isSafeInteger(side));
  const isTarget =
    (target?.kind === "class" && Number.isSafeInteger(target.classes)) ||
    (target?.kind === "values" && Number.isSafeInteger(target.width));
  const problem = !isShape
    ? `sampleShape: found ${inspect(sampleShape)}, expected a list of whole numbers such as [28, 28]`
    : !isTarget
      ? `target: found ${inspect(target)}, expected { kind: "class", classes: 10 } or { kind: "values", width: 1 }`
      : typeof batch !== "function"
        ? `batch: found ${inspect(batch)}, expected a function of indices, features and targets`
        : undefined;
  if (problem === undefined) return;
  const hint = "A dataset of one's own is { length, sampleShape, target, batch }: see the type Dataset.";
  throw new LockstepError("DATA_INVALID", `data.${part}.${problem}`, hint);
}

/** Where `batch` has returned the samples, and written none, zeros would be trained on. */
function checkWritten(part: string, answer: unknown, rows: Float32Array): void {
  if (answer === undefined || answer === rows || rows.some((value) => value !== 0)) return;
  throw new LockstepError(
    "DATA_INVALID",
    `data.${part}.batch: found ${inspect(answer, { depth: 0 })} returned and nothing but zeros in features, expected them to be written there`,
    "It is called as batch(indices, features, targets), fills features and targets, and returns nothing.",
  );
}

async function written(part: string, dataset: OwnDataset, folder: string): Promise<string> {
  const { length, sampleShape, target } = dataset;
  const width = product(sampleShape);
  const ofTarget = targetWidth(target);
  if (!Number.isSafeInteger(length) || length < 1 || !Number.isSafeInteger(width) || width < 1)
    throw new LockstepError(
      "DATA_INVALID",
      `the dataset says it has ${length} samples of shape [${sampleShape.join(", ")}]`,
      "Give whole numbers above 0.",
    );
  const draft = join(folder, `.draft-${process.pid}-${performance.now()}`);
  try {
    await makeFolders(folder);
    const file = await open(draft, "wx");
    try {
      const hash = createHash("sha256");
      const [start, features] = headerOf(dataset, width, ofTarget);
      hash.update(start);
      await file.write(start, 0, start.length, 0);
      const targets = new (target.kind === "class" ? Int32Array : Float32Array)(length * ofTarget);
      for (let first = 0; first < length; first += BLOCK) {
        const count = Math.min(BLOCK, length - first);
        const rows = new Float32Array(count * width);
        const indices = Uint32Array.from({ length: count }, (_, row) => first + row);
        const answer: unknown = await dataset.batch(
          indices,
          rows,
          targets.subarray(first * ofTarget, (first + count) * ofTarget),
        );
        checkWritten(part, answer, rows);
        const bytes = new Uint8Array(rows.buffer);
        hash.update(bytes);
        await file.write(bytes, 0, bytes.length, start.length + 4 * first * width);
      }
      const bytes = new Uint8Array(targets.buffer);
      hash.update(bytes);
      await file.write(bytes, 0, bytes.length, start.length + features);
      await file.sync();
      const path = join(folder, `${hash.digest("hex").slice(0, 16)}.safetensors`);
      await rename(draft, path);
      return path;
    } finally {
      await file.close();
    }
  } catch (cause) {
    await rm(draft, { force: true }).catch(() => {});
    if (cause instanceof LockstepError || errnoOf(cause) === undefined) throw cause;
    throw new LockstepError(
      "DISK_FAILED",
      `cannot write ${draft}: ${errnoOf(cause)}`,
      "Make room there, or set runs to another folder.",
      { cause },
    );
  }
}

/** The file's start, and how many bytes of features follow it. */
function headerOf({ length, sampleShape, target }: OwnDataset, width: number, ofTarget: number): [Uint8Array, number] {
  const features = 4 * length * width;
  const shape = ofTarget === 1 ? [length] : [length, ofTarget];
  const header = JSON.stringify({
    features: { dtype: "F32", shape: [length, ...sampleShape], data_offsets: [0, features] },
    targets: {
      dtype: target.kind === "class" ? "I32" : "F32",
      shape,
      data_offsets: [features, features + 4 * length * ofTarget],
    },
  });
  const text = Buffer.from(header.padEnd(Math.ceil(header.length / 8) * 8));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(text.length));
  return [Buffer.concat([size, text]), features];
}
