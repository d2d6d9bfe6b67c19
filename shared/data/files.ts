/** Data files: opened, measured, read whole or left where they are. */
import { open, readFile, stat } from "node:fs/promises";
import { closeSync, openSync } from "node:fs";
import { LockstepError } from "../errors.ts";
import { sharedBuffer } from "../memory/huge-pages.ts";
import { blocksOf, type FeatureFile, type Features } from "./features.ts";
import { unreadable } from "./unreadable.ts";

/** DATA_INVALID about a place in a file. */
export const invalidFile = (place: string, message: string, hint: string): LockstepError =>
  new LockstepError("DATA_INVALID", `${place}: ${message}`, hint);

/** A file's size in bytes. Throws DATA_MISSING. */
export async function sizeOfFile(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

/** A file's bytes. Throws DATA_MISSING. */
export async function bytesOfFile(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

/** The first bytes of a file, or fewer where it is shorter. Throws DATA_MISSING. */
export async function startOfFile(path: string, length: number): Promise<Buffer> {
  try {
    const file = await open(path, "r");
    try {
      const bytes = Buffer.alloc(length);
      const { bytesRead } = await file.read(bytes, 0, length, 0);
      return bytes.subarray(0, bytesRead);
    } finally {
      await file.close();
    }
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

/** Samples in a file, `stride` bytes apart. */
export interface Records {
  readonly path: string;
  readonly stored: "uint8" | "float32";
  readonly offset: number;
  readonly stride: number;
  readonly samples: number;
}

/** The features of all records, `width` values each: in memory, or where they take more than that, in their files. */
export function featuresOf(records: readonly Records[], width: number, memory: number): Features {
  const { stored } = records[0]!;
  const samples = records.reduce((sum, each) => sum + each.samples, 0);
  const bytes = samples * width * (stored === "uint8" ? 1 : 4);
  const file: FeatureFile = {
    stored,
    length: samples * width,
    pieces: records.map(({ path, offset, stride, samples: count }) => ({
      path,
      descriptor: openForReading(path),
      offset,
      stride,
      samples: count,
    })),
  };
  return bytes > memory ? file : inMemory(file, width);
}

/** The same values in shared memory; the files are closed. */
function inMemory(file: FeatureFile, width: number): Features {
  const floats = file.stored === "float32";
  const buffer = sharedBuffer(file.length * (floats ? 4 : 1));
  const array = floats ? new Float32Array(buffer) : new Uint8Array(buffer);
  for (const { first, values } of blocksOf(file, width)) array.set(values, first * width);
  closeFiles(file);
  return array;
}

/** Closes the files of features that are in some; nobody may read them any more. */
export function closeFiles(features: Features): void {
  if ("pieces" in features) for (const { descriptor } of features.pieces) closeSync(descriptor);
}

function openForReading(path: string): number {
  try {
    return openSync(path, "r");
  } catch (cause) {
    throw unreadable(path, cause);
  }
}
