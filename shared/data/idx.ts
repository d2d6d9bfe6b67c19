/**
 * The IDX format of MNIST: a big-endian magic 00 00 <type> <dimensions>, one 32-bit length per dimension, then the values
 * row by row (http://yann.lecun.com/exdb/mnist/, "the IDX file format"). Here: unsigned bytes, images with three dimensions
 * and labels with one; plain or gzip. Every error names the file, the offset, what was expected and what was found.
 */

import { join } from "node:path";
import { Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { errnoOf } from "../errno.ts";
import { LockstepError } from "../errors.ts";
import { sharedBuffer } from "../memory/huge-pages.ts";
import { product } from "../shape.ts";
import { createDataset, type Dataset } from "./dataset.ts";
import { featuresOf, partOfFile, readInto, sizeOfFile, type OpenFiles, type Destination } from "./files.ts";

/** The names of the image and the label file of each part, without .gz. */
export const idxNames = {
  train: ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"],
  test: ["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"],
} as const;

/** A file's bytes, on a SharedArrayBuffer, and the name errors call it by. */
export interface IdxFile {
  readonly path: string;
  readonly bytes: Uint8Array;
  /** Where only its start was read, as it is too large for memory: bytes of the whole, and what it is one of once it is open. */
  readonly left?: { readonly size: number; readonly files: OpenFiles };
}

/** Both parts of a folder with the four MNIST-named files, each plain or with .gz. Throws DATA_MISSING or DATA_INVALID. */
export async function openIdxFolder(
  folder: string,
  classes: number,
  to: Destination,
): Promise<{ train: Dataset; test: Dataset }> {
  const read = async ([images, labels]: readonly [string, string]): Promise<Dataset> =>
    idxDataset(await readIdx(folder, images, to), await readIdx(folder, labels, { ...to, memory: Infinity }), classes);
  const train = await read(idxNames.train);
  const test = await read(idxNames.test);
  if (train.sampleShape.join() !== test.sampleShape.join())
    throw invalid(
      join(folder, idxNames.test[0]),
      8,
      `expected images of ${train.sampleShape.join(" × ")} as in ${idxNames.train[0]}, found ${test.sampleShape.join(" × ")}`,
      "Training and test images must have the same size.",
    );
  return { train, test };
}

/** The dataset of an image file [length, height, width] and its label file [length] with labels 0..classes-1. */
export function idxDataset(images: IdxFile, labels: IdxFile, classes: number): Dataset {
  const [count = 0, height = 0, width = 0] = readHeader(images, "images");
  const [labelCount = 0] = readHeader(labels, "labels");
  if (labelCount !== count)
    throw invalid(
      labels.path,
      4,
      `expected ${count} labels, one for each image of ${images.path}, found ${labelCount}`,
      "Use the image and the label file of the same part.",
    );
  const targets = new Int32Array(sharedBuffer(count * 4));
  targets.set(labels.bytes.subarray(8));
  const wrong = targets.findIndex((label) => label >= classes);
  if (wrong >= 0)
    throw invalid(
      labels.path,
      8 + wrong,
      `expected a label from 0 to ${classes - 1}, found ${targets[wrong]}`,
      "Correct the label, or set data.classes to the number of classes.",
    );
  return createDataset({
    sampleShape: [height, width],
    target: { kind: "class", classes },
    features:
      images.left === undefined
        ? images.bytes.subarray(16)
        : featuresOf(
            [{ path: images.path, stored: "uint8", offset: 16, stride: height * width, samples: count }],
            height * width,
            { memory: 0, files: images.left.files },
          ),
    targets,
  });
}

/** A whole file on a SharedArrayBuffer. Throws DATA_MISSING. */
export async function readShared(path: string): Promise<IdxFile> {
  const bytes = new Uint8Array(sharedBuffer(await sizeOfFile(path)));
  return { path, bytes: bytes.subarray(0, await readInto(bytes, path)) };
}

async function readIdx(folder: string, name: string, { memory, files }: Destination): Promise<IdxFile> {
  const plain = join(folder, name);
  for (const path of [plain, `${plain}.gz`]) {
    let file: IdxFile;
    try {
      const size = await sizeOfFile(path);
      const start = await partOfFile(path, 0, 16);
      if (size > memory && start[0] !== 0x1f) return { path, bytes: start, left: { size, files } };
      file = await readShared(path);
    } catch (error) {
      if (error instanceof LockstepError && errnoOf(error.cause) === "ENOENT") continue;
      throw error;
    }
    // By content, not by name: an IDX file starts with two zero bytes, a gzip file with 1f 8b.
    return file.bytes[0] === 0x1f && file.bytes[1] === 0x8b ? unzip(file) : file;
  }
  throw new LockstepError(
    "DATA_MISSING",
    `${plain} is missing, plain or as ${name}.gz`,
    `The folder must hold ${[...idxNames.train, ...idxNames.test].join(", ")}, each plain or with .gz.`,
  );
}

/** No more is unpacked than the header says that there is: a small file may hold more than there is memory. */
async function unzip({ path, bytes }: IdxFile): Promise<IdxFile> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of Readable.from([bytes]).pipe(createGunzip({ chunkSize: UNPACKED_AT_ONCE }))) {
      chunks.push(chunk as Buffer);
      length += (chunk as Buffer).length;
      const said = saidIn(chunks[0]!);
      if (said !== undefined && length > said.headerLength + said.size)
        throw invalid(path, said.headerLength, `expected ${sizeText(said)}, found more`, AGAIN);
    }
    const held = new Uint8Array(sharedBuffer(length));
    let filled = 0;
    for (const chunk of chunks) {
      held.set(chunk, filled);
      filled += chunk.length;
    }
    return { path, bytes: held };
  } catch (cause) {
    if (cause instanceof LockstepError) throw cause;
    throw new LockstepError(
      "DATA_INVALID",
      `${path}: the gzip data (${bytes.length} bytes) is damaged or cut short: ${String(cause)}`,
      "Fetch the file again.",
      { cause },
    );
  }
}

const UNPACKED_AT_ONCE = 2 ** 20;

interface Said {
  readonly headerLength: number;
  readonly lengths: readonly number[];
  /** Bytes of data. */
  readonly size: number;
}

const magicOf = (dimensions: number): number => 0x0800 + dimensions;

/** What a header says of the data behind it; undefined where there is none of images or labels. */
function saidIn(bytes: Uint8Array): Said | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const dimensions = [1, 3].find((each) => bytes.length >= 4 + 4 * each && view.getUint32(0) === magicOf(each));
  if (dimensions === undefined) return undefined;
  const lengths = Array.from({ length: dimensions }, (_, axis) => view.getUint32(4 + 4 * axis));
  return { headerLength: 4 + 4 * dimensions, lengths, size: product(lengths) };
}

const sizeText = ({ size, lengths }: Said): string => `${size} bytes of data (${lengths.join(" × ")})`;

const AGAIN = "Check that this is the right file, and fetch it again if it was cut short.";

/** Checks the magic and the size; returns the dimensions. */
function readHeader({ path, bytes, left }: IdxFile, holds: "images" | "labels"): readonly number[] {
  const dimensions = holds === "images" ? 3 : 1;
  const magic = magicOf(dimensions);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const headerLength = 4 + 4 * dimensions;
  if (bytes.length >= 4 && view.getUint32(0) !== magic)
    throw invalid(
      path,
      0,
      `expected the magic number ${hex(magic)} of IDX ${holds}, found ${hex(view.getUint32(0))}`,
      AGAIN,
    );
  const said = saidIn(bytes);
  if (said === undefined)
    throw invalid(path, 0, `expected a header of ${headerLength} bytes, found ${bytes.length} bytes`, AGAIN);
  const empty = said.lengths.indexOf(0);
  if (empty >= 0) throw invalid(path, 4 + 4 * empty, "expected a length of at least 1, found 0", AGAIN);
  const found = (left?.size ?? bytes.length) - headerLength;
  if (found !== said.size) throw invalid(path, headerLength, `expected ${sizeText(said)}, found ${found}`, AGAIN);
  return said.lengths;
}

const hex = (value: number): string => `0x${value.toString(16).padStart(8, "0")}`;

const invalid = (path: string, offset: number, message: string, hint: string): LockstepError =>
  new LockstepError("DATA_INVALID", `${path} at offset ${offset}: ${message}`, hint);
