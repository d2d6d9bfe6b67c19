/**
 * A dataset is read by index and named by the SHA-256 of its content. Features are stored as bytes, read as
 * float32(x / 255), or as float32; every array lies on a SharedArrayBuffer, so the threads of a worker share one copy.
 */

import { createHash } from "node:crypto";
import { LockstepError } from "../errors.ts";
import { targetWidth, type TargetSpec } from "./target.ts";

export interface Dataset {
  /** The number of samples. */
  readonly length: number;
  /** The shape of one sample's features. */
  readonly sampleShape: readonly number[];
  readonly target: TargetSpec;
  /** Of the content: shapes, types, scale, and the bytes of features and targets. Lower-case hex. */
  readonly sha256: string;
  /**
   * Writes the samples at `indices` as float32 rows [indices.length, ...sampleShape] into `features` and their targets,
   * int32 [indices.length] for classes, [indices.length, positions] where each sample has several, or float32 [indices.length, width] for values, into `targets`. What lies behind the rows stays.
   * Throws a RangeError for an index outside the dataset or an array that is too short.
   */
  batch(indices: ArrayLike<number>, features: Float32Array, targets: Int32Array | Float32Array): void;
  /** How features are stored. */
  readonly stored: "uint8" | "float32";
  /** As `batch`, with features as they are stored: an array of that type. */
  rows(indices: ArrayLike<number>, features: Uint8Array | Float32Array, targets: Int32Array | Float32Array): void;
  /** The same dataset as structured-cloneable data; a thread makes a Dataset of it with `datasetFrom`. */
  transfer(): DatasetTransfer;
}

/** The arrays of a dataset: `features` [length, ...sampleShape], `targets` int32 [length] or float32 [length, width]. */
export interface DatasetContent {
  readonly sampleShape: readonly number[];
  readonly target: TargetSpec;
  /** Bytes are read divided by 255. */
  readonly features: Uint8Array | Float32Array;
  readonly targets: Int32Array | Float32Array;
}

export interface DatasetTransfer extends DatasetContent {
  readonly sha256: string;
}

/** float32(x / 255) of every byte: one rounding, the same as dividing in doubles and storing as float32. */
const byteToUnit = Float32Array.from({ length: 256 }, (_, byte) => byte / 255);

/** A dataset over arrays in memory, which are copied to shared memory unless they lie there. Throws DATA_INVALID. */
export function createDataset(content: DatasetContent): Dataset {
  checkContent(content);
  return datasetFrom({ ...content, sha256: contentSha256(content) });
}

/** The dataset that `transfer()` described. Its hash is taken over as it is: both ends are the same process. */
export function datasetFrom(transfer: DatasetTransfer): Dataset {
  const features = sharedFeatures(transfer.features);
  const targets = sharedTargets(transfer.targets);
  const { sampleShape, target, sha256 } = transfer;
  const width = sizeOf(sampleShape);
  const perSample = targetWidth(target);
  const length = features.length / width;

  const stored = features instanceof Uint8Array ? "uint8" : "float32";
  /** Checks and copies one sample after the other; `copy` does its features. */
  const each = (
    indices: ArrayLike<number>,
    featureRows: Uint8Array | Float32Array,
    targetRows: Int32Array | Float32Array,
    copy: (from: number, to: number) => void,
  ): void => {
    if (featureRows.length < indices.length * width || targetRows.length < indices.length * perSample)
      throw new RangeError(
        `a batch of ${indices.length} samples needs ${indices.length * width} features and ${indices.length * perSample} targets, the arrays hold ${featureRows.length} and ${targetRows.length}`,
      );
    if (targetRows instanceof Int32Array !== (target.kind === "class"))
      throw new RangeError(`targets of kind ${target.kind} cannot be written to this type of array`);
    for (let row = 0; row < indices.length; row++) {
      const index = indices[row]!;
      if (!Number.isInteger(index) || index < 0 || index >= length)
        throw new RangeError(`sample ${index} is outside the dataset's ${length} samples`);
      copy(index * width, row * width);
      for (let column = 0; column < perSample; column++)
        targetRows[row * perSample + column] = targets[index * perSample + column]!;
    }
  };

  return {
    length,
    sampleShape,
    target,
    sha256,
    stored,
    batch(indices, featureRows, targetRows) {
      each(indices, featureRows, targetRows, (from, to) => {
        if (features instanceof Float32Array) featureRows.set(features.subarray(from, from + width), to);
        else for (let i = 0; i < width; i++) featureRows[to + i] = byteToUnit[features[from + i]!]!;
      });
    },
    rows(indices, featureRows, targetRows) {
      if (featureRows instanceof Uint8Array !== (stored === "uint8"))
        throw new RangeError(
          `features are stored as ${stored} and cannot be written as they are to this type of array`,
        );
      each(indices, featureRows, targetRows, (from, to) => featureRows.set(features.subarray(from, from + width), to));
    },
    transfer: () => ({ sampleShape, target, features, targets, sha256 }),
  };
}

function contentSha256(content: DatasetContent): string {
  const hash = createHash("sha256");
  for (const bytes of contentBytes(content)) hash.update(bytes);
  return hash.digest("hex");
}

/**
 * The bytes that name a dataset by their SHA-256, and that it travels as: a line of JSON, the features, the targets. Of this
 * machine's byte order, which is little-endian wherever Node runs. `parseContent` reads them.
 */
export function contentBytes(
  content: DatasetContent,
): readonly [header: Uint8Array, features: Uint8Array, targets: Uint8Array] {
  const { sampleShape, target, features, targets } = content;
  const type = features instanceof Uint8Array ? { type: "uint8", scale: 255 } : { type: "float32", scale: 1 };
  // Key order is part of the hash: a spec that arrives with its keys in another order is still the same content.
  const named =
    target.kind === "class"
      ? {
          kind: target.kind,
          classes: target.classes,
          ...(target.positions === undefined ? {} : { positions: target.positions }),
        }
      : { kind: target.kind, width: target.width };
  const header = `${JSON.stringify({ sampleShape, target: named, ...type, targets: targets.length })}\n`;
  return [Buffer.from(header), bytesOf(features), bytesOf(targets)];
}

function checkContent({ sampleShape, target, features, targets }: DatasetContent): void {
  const width = sizeOf(sampleShape);
  const perSample = targetWidth(target);
  const samples = features.length / width;
  if (!(samples >= 1) || !Number.isInteger(samples))
    throw new LockstepError(
      "DATA_INVALID",
      `${features.length} feature values are no whole number of samples of shape [${sampleShape.join(", ")}]`,
      "A dataset needs at least one sample, and every sample the same shape.",
    );
  if (targets.length !== samples * perSample)
    throw new LockstepError(
      "DATA_INVALID",
      `${samples} samples need ${samples * perSample} targets, found ${targets.length}`,
      "Give every sample its target.",
    );
  if (targets instanceof Int32Array !== (target.kind === "class"))
    throw new LockstepError(
      "DATA_INVALID",
      `targets of kind "${target.kind}" must be ${target.kind === "class" ? "an Int32Array" : "a Float32Array"}`,
      "Labels are an Int32Array, values a Float32Array.",
    );
  const wrongTarget = targets.findIndex((value: number) =>
    target.kind === "class" ? value < 0 || value >= target.classes : !Number.isFinite(value),
  );
  if (wrongTarget >= 0)
    throw new LockstepError(
      "DATA_INVALID",
      `the target of sample ${Math.floor(wrongTarget / perSample)} is ${targets[wrongTarget]}, expected ${target.kind === "class" ? `a label from 0 to ${target.classes - 1}` : "a finite number"}`,
      "Correct the target or the number of classes.",
    );
  const wrongFeature = features instanceof Float32Array ? features.findIndex((value) => !Number.isFinite(value)) : -1;
  if (wrongFeature >= 0)
    throw new LockstepError(
      "DATA_INVALID",
      `feature ${wrongFeature % width} of sample ${Math.floor(wrongFeature / width)} is ${features[wrongFeature]}, expected a finite number`,
      "Correct or leave out that sample.",
    );
}

function sharedFeatures(array: Uint8Array | Float32Array): Uint8Array | Float32Array {
  if (array.buffer instanceof SharedArrayBuffer) return array;
  return array instanceof Uint8Array ? new Uint8Array(sharedCopy(array)) : new Float32Array(sharedCopy(array));
}

function sharedTargets(array: Int32Array | Float32Array): Int32Array | Float32Array {
  if (array.buffer instanceof SharedArrayBuffer) return array;
  return array instanceof Int32Array ? new Int32Array(sharedCopy(array)) : new Float32Array(sharedCopy(array));
}

function sharedCopy(array: Uint8Array | Int32Array | Float32Array): SharedArrayBuffer {
  const buffer = new SharedArrayBuffer(array.byteLength);
  new Uint8Array(buffer).set(bytesOf(array));
  return buffer;
}

const sizeOf = (shape: readonly number[]): number => shape.reduce((size, length) => size * length, 1);

const bytesOf = (array: Uint8Array | Int32Array | Float32Array): Uint8Array =>
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
