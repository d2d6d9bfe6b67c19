/**
 * A dataset is read by index and named by the SHA-256 of its content. Features are stored as bytes, read as
 * float32(x / 255), or as float32; every array lies on a SharedArrayBuffer, so the threads of a worker share one copy, and features
 * that are larger than `dataMemory` stay in their file.
 */

import { createHash } from "node:crypto";
import { LockstepError } from "../errors.ts";
import { sharedBuffer } from "../memory/huge-pages.ts";
import { product } from "../shape.ts";
import { blocksOf, copyRows, emptyRows, storedAs, type Features } from "./features.ts";
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
   * int32 [indices.length, positions] for classes or float32 [indices.length, width] for values, into `targets`. What lies behind the rows stays.
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

/** The arrays of a dataset: `features` [length, ...sampleShape], `targets` int32 [length, positions] or float32 [length, width]. */
export interface DatasetContent {
  readonly sampleShape: readonly number[];
  readonly target: TargetSpec;
  readonly features: Features;
  readonly targets: Int32Array | Float32Array;
}

export interface DatasetTransfer extends DatasetContent {
  readonly sha256: string;
  /** The samples that the dataset consists of, where it is a part of these arrays. */
  readonly order?: Uint32Array;
}

/** float32(x / 255) of every byte: one rounding, the same as dividing in doubles and storing as float32. */
const byteToUnit = Float32Array.from({ length: 256 }, (_, byte) => byte / 255);

/** What a sample is called in errors, such as its file and row. */
type NameOf = (sample: number) => string;

/**
 * A dataset over arrays in memory, which are copied to shared memory unless they lie there, or over files. Throws DATA_INVALID for
 * shapes that don't fit, labels out of range and numbers that are not finite.
 */
export function createDataset(content: DatasetContent, nameOf: NameOf = (sample) => `sample ${sample}`): Dataset {
  checkContent(content, nameOf);
  return datasetFrom({ ...content, sha256: contentSha256(content, nameOf) });
}

/** The dataset that `transfer()` described. Its hash is taken over as it is: both ends are the same process. */
export function datasetFrom(transfer: DatasetTransfer): Dataset {
  const features = sharedFeatures(transfer.features);
  const targets = sharedTargets(transfer.targets);
  const { sampleShape, target, sha256 } = transfer;
  const { order } = transfer;
  const width = product(sampleShape);
  const ofTarget = targetWidth(target);
  const length = order?.length ?? features.length / width;
  const stored = storedAs(features);
  let stage = emptyRows(features, 0);

  /** Checks a batch, copies its targets, and returns where its samples are in the arrays. */
  const begin = (
    indices: ArrayLike<number>,
    featureRows: Uint8Array | Float32Array,
    targetRows: Int32Array | Float32Array,
  ): Uint32Array => {
    if (featureRows.length < indices.length * width || targetRows.length < indices.length * ofTarget)
      throw new RangeError(
        `a batch of ${indices.length} samples needs ${indices.length * width} features and ${indices.length * ofTarget} targets, the arrays hold ${featureRows.length} and ${targetRows.length}`,
      );
    if (targetRows instanceof Int32Array !== (target.kind === "class"))
      throw new RangeError(`targets of kind ${target.kind} cannot be written to this type of array`);
    const places = new Uint32Array(indices.length);
    for (let row = 0; row < indices.length; row++) {
      const index = indices[row]!;
      if (!Number.isInteger(index) || index < 0 || index >= length)
        throw new RangeError(`sample ${index} is outside the dataset's ${length} samples`);
      const place = order === undefined ? index : order[index]!;
      places[row] = place;
      for (let column = 0; column < ofTarget; column++)
        targetRows[row * ofTarget + column] = targets[place * ofTarget + column]!;
    }
    return places;
  };

  return {
    length,
    sampleShape,
    target,
    sha256,
    stored,
    batch(indices, featureRows, targetRows) {
      const places = begin(indices, featureRows, targetRows);
      if (stored === "float32") {
        copyRows(features, places, width, featureRows);
        return;
      }
      const values = indices.length * width;
      if (stage.length < values) stage = emptyRows(features, values);
      copyRows(features, places, width, stage);
      for (let at = 0; at < values; at++) featureRows[at] = byteToUnit[stage[at]!]!;
    },
    rows(indices, featureRows, targetRows) {
      if (featureRows instanceof Uint8Array !== (stored === "uint8"))
        throw new RangeError(
          `features are stored as ${stored} and cannot be written as they are to this type of array`,
        );
      copyRows(features, begin(indices, featureRows, targetRows), width, featureRows);
    },
    transfer: () => ({ sampleShape, target, features, targets, sha256, ...(order === undefined ? {} : { order }) }),
  };
}

/** The samples of `dataset` at these places, as a dataset of its own; `name` tells apart what is made of the same one. */
export function partOf(dataset: Dataset, name: string, places: Uint32Array): Dataset {
  const transfer = dataset.transfer();
  const order = new Uint32Array(sharedBuffer(places.byteLength));
  places.forEach((place, index) => void (order[index] = transfer.order?.[place] ?? place));
  const hash = createHash("sha256").update(`${name} of ${dataset.sha256}\n`).update(bytesOf(order));
  return datasetFrom({ ...transfer, order, sha256: hash.digest("hex") });
}

/** Hashes the content, on the same way checking that features are finite. */
function contentSha256(content: DatasetContent, nameOf: NameOf): string {
  const hash = createHash("sha256");
  const width = product(content.sampleShape);
  const check = (values: Uint8Array | Float32Array, first: number): void => {
    if (values instanceof Float32Array) checkFinite(values, first, width, nameOf);
  };
  for (const bytes of contentBytes(content, check)) hash.update(bytes);
  return hash.digest("hex");
}

function contentHeader({ sampleShape, target, features, targets }: DatasetContent): Uint8Array {
  const type = { type: storedAs(features), scale: storedAs(features) === "uint8" ? 255 : 1 };
  // Key order is part of the hash: a spec that arrives with its keys in another order is still the same content.
  const named =
    target.kind === "class"
      ? { kind: target.kind, classes: target.classes, positions: target.positions }
      : { kind: target.kind, width: target.width };
  return Buffer.from(`${JSON.stringify({ sampleShape, target: named, ...type, targets: targets.length })}\n`);
}

/** How many bytes `contentBytes` gives. */
export const contentLength = (content: DatasetContent): number =>
  contentHeader(content).length +
  content.features.length * (storedAs(content.features) === "uint8" ? 1 : 4) +
  content.targets.byteLength;

/**
 * The bytes that name a dataset by their SHA-256, and that it travels as: a line of JSON, the features in blocks, the targets. Of
 * this machine's byte order, which is little-endian wherever Node runs. A block is valid until the next one; content.ts reads them.
 * @param onBlock sees the features before their bytes are given, with the number of their first sample
 */
export function* contentBytes(
  content: DatasetContent,
  onBlock: (values: Uint8Array | Float32Array, first: number) => void = () => {},
): Generator<Uint8Array> {
  const { sampleShape, features, targets } = content;
  yield contentHeader(content);
  for (const { first, values } of blocksOf(features, product(sampleShape))) {
    onBlock(values, first);
    yield bytesOf(values);
  }
  yield bytesOf(targets);
}

function checkContent({ sampleShape, target, features, targets }: DatasetContent, nameOf: NameOf): void {
  const width = product(sampleShape);
  const ofTarget = targetWidth(target);
  const samples = features.length / width;
  if (!(samples >= 1) || !Number.isInteger(samples))
    throw new LockstepError(
      "DATA_INVALID",
      `${features.length} feature values are no whole number of samples of shape [${sampleShape.join(", ")}]`,
      "A dataset needs at least one sample, and every sample the same shape.",
    );
  if (targets.length !== samples * ofTarget)
    throw new LockstepError(
      "DATA_INVALID",
      `${samples} samples need ${samples * ofTarget} targets, found ${targets.length}`,
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
      `the target of ${nameOf(Math.floor(wrongTarget / ofTarget))} is ${targets[wrongTarget]}, expected ${target.kind === "class" ? `a label from 0 to ${target.classes - 1}` : "a finite number"}`,
      "Correct the target or the number of classes.",
    );
}

function checkFinite(values: Float32Array, first: number, width: number, nameOf: NameOf): void {
  const wrong = values.findIndex((value) => !Number.isFinite(value));
  if (wrong < 0) return;
  throw new LockstepError(
    "DATA_INVALID",
    `feature ${wrong % width} of ${nameOf(first + Math.floor(wrong / width))} is ${values[wrong]}, expected a finite number`,
    "Correct or leave out that sample.",
  );
}

function sharedFeatures(array: Features): Features {
  if (!(array instanceof Uint8Array || array instanceof Float32Array) || array.buffer instanceof SharedArrayBuffer)
    return array;
  return array instanceof Uint8Array ? new Uint8Array(sharedCopy(array)) : new Float32Array(sharedCopy(array));
}

function sharedTargets(array: Int32Array | Float32Array): Int32Array | Float32Array {
  if (array.buffer instanceof SharedArrayBuffer) return array;
  return array instanceof Int32Array ? new Int32Array(sharedCopy(array)) : new Float32Array(sharedCopy(array));
}

function sharedCopy(array: Uint8Array | Int32Array | Float32Array): SharedArrayBuffer {
  const buffer = sharedBuffer(array.byteLength);
  new Uint8Array(buffer).set(bytesOf(array));
  return buffer;
}

const bytesOf = (array: Uint8Array | Int32Array | Uint32Array | Float32Array): Uint8Array =>
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
