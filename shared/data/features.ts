/**
 * Where the features of a dataset are: in shared memory, or in files of which samples are read when they are wanted. Samples of one
 * file lie a fixed number of bytes apart; those that follow one another are read at once.
 */
import { readSync } from "node:fs";
import { LockstepError } from "../errors.ts";

/** Samples that lie one behind the other in an open file. The descriptor is valid in every thread of the process. */
interface FilePiece {
  readonly path: string;
  readonly descriptor: number;
  /** Bytes before the first sample's features. */
  readonly offset: number;
  /** Bytes from one sample to the next. */
  readonly stride: number;
  readonly samples: number;
}

/** Features in files; plain data, so that threads can be given it. */
export interface FeatureFile {
  readonly stored: "uint8" | "float32";
  /** Values of all samples together, as of an array. */
  readonly length: number;
  readonly pieces: readonly FilePiece[];
}

/** Bytes are read divided by 255. */
export type Features = Uint8Array | Float32Array | FeatureFile;

export const storedAs = (features: Features): "uint8" | "float32" =>
  features instanceof Uint8Array ? "uint8" : features instanceof Float32Array ? "float32" : features.stored;

/** Copies the features of samples, as they are stored, to rows of `width` values. */
export function copyRows(
  features: Features,
  indices: ArrayLike<number>,
  width: number,
  rows: Uint8Array | Float32Array,
): void {
  if (features instanceof Uint8Array || features instanceof Float32Array) {
    for (let row = 0; row < indices.length; row++)
      rows.set(features.subarray(indices[row]! * width, (indices[row]! + 1) * width), row * width);
    return;
  }
  const sampleBytes = width * (features.stored === "uint8" ? 1 : 4);
  for (let row = 0; row < indices.length;) {
    let first = indices[row]!;
    const piece = features.pieces.find(({ samples }) => {
      if (first < samples) return true;
      first -= samples;
      return false;
    })!;
    let run = 1;
    if (piece.stride === sampleBytes)
      while (row + run < indices.length && indices[row + run] === indices[row]! + run && first + run < piece.samples)
        run += 1;
    const into = new Uint8Array(rows.buffer, rows.byteOffset + row * sampleBytes, run * sampleBytes);
    readWhole(piece, piece.offset + first * piece.stride, into);
    row += run;
  }
}

/** Bytes that are read from a file at once: Node aborts where it is asked for 2 GiB. */
export const MOST_READ = 1 << 30;

function readWhole({ path, descriptor }: FilePiece, position: number, into: Uint8Array): void {
  let done = 0;
  while (done < into.length) {
    const length = Math.min(into.length - done, MOST_READ);
    const read = readSync(descriptor, into, done, length, position + done);
    if (read === 0)
      throw new LockstepError(
        "DATA_INVALID",
        `${path} ends at offset ${position + done}, expected ${into.length - done} bytes more: it was changed while in use`,
        "Put the file back as it was, and leave it alone while a run reads it.",
      );
    done += read;
  }
}

/** Values in a block, so that a file of any size passes through little memory. */
const BLOCK_VALUES = 1 << 20;

/** All features, in blocks of whole samples; a block is valid until the next one. */
export function* blocksOf(
  features: Features,
  width: number,
): Generator<{ readonly first: number; readonly values: Uint8Array | Float32Array }> {
  const samples = features.length / width;
  const most = Math.max(1, Math.floor(BLOCK_VALUES / width));
  const isArray = features instanceof Uint8Array || features instanceof Float32Array;
  const room = isArray ? undefined : emptyRows(features, Math.min(samples, most) * width);
  for (let first = 0; first < samples; first += most) {
    const count = Math.min(most, samples - first);
    if (isArray) yield { first, values: features.subarray(first * width, (first + count) * width) };
    else {
      const values = room!.subarray(0, count * width);
      copyRows(
        features,
        Array.from({ length: count }, (_, row) => first + row),
        width,
        values,
      );
      yield { first, values };
    }
  }
}

/** Room for values as these features are stored. */
export const emptyRows = (features: Features, values: number): Uint8Array | Float32Array =>
  storedAs(features) === "uint8" ? new Uint8Array(values) : new Float32Array(values);
