/** Data files: opened, measured, read whole or left where they are. */
import { open, readFile, stat } from "node:fs/promises";
import { closeSync, openSync } from "node:fs";
import { LockstepError } from "../errors.ts";
import { sharedBuffer } from "../memory/huge-pages.ts";
import { blocksOf, MOST_READ, type FeatureFile, type Features } from "./features.ts";
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

/** The bytes of a file from `begin` to before `end`, or fewer where it is shorter. Throws DATA_MISSING. */
export async function partOfFile(path: string, begin: number, end: number): Promise<Buffer> {
  const bytes = Buffer.alloc(end - begin);
  return bytes.subarray(0, await readInto(bytes, path, begin));
}

/**
 * Fills `into` with a file's bytes from `position` on. Returns how many there were. Throws DATA_MISSING.
 * @param most bytes that are read at once
 */
export async function readInto(into: Uint8Array, path: string, position = 0, most = MOST_READ): Promise<number> {
  try {
    const file = await open(path, "r");
    try {
      let filled = 0;
      for (let read = 1; read > 0 && filled < into.length; filled += read)
        read = (await file.read(into, filled, Math.min(into.length - filled, most), position + filled)).bytesRead;
      return filled;
    } finally {
      await file.close();
    }
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

/** The files of a data source that samples are read from. One without a name is gone when it is closed. */
export class OpenFiles {
  readonly #descriptors: number[] = [];

  /** Notes that a file is open; returns its descriptor. */
  add(descriptor: number): number {
    this.#descriptors.push(descriptor);
    return descriptor;
  }

  /** What `action` opens is closed where it fails. */
  async during<Result>(action: () => Promise<Result>): Promise<Result> {
    const before = this.#descriptors.length;
    try {
      return await action();
    } catch (error) {
      this.#closeFrom(before);
      throw error;
    }
  }

  /** Nobody may read them any more. */
  close(): void {
    this.#closeFrom(0);
  }

  #closeFrom(first: number): void {
    for (const descriptor of this.#descriptors.splice(first)) closeSync(descriptor);
  }
}

/** Where the features of a part go: into memory, or where they take more bytes than that, into files, which stay open. */
export interface Destination {
  readonly memory: number;
  readonly files: OpenFiles;
}

/** Samples in a file, `stride` bytes apart. */
export interface Records {
  readonly path: string;
  readonly stored: "uint8" | "float32";
  readonly offset: number;
  readonly stride: number;
  readonly samples: number;
}

/** The features of all records, `width` values each: in memory, or where they have no room there, in their files. */
export function featuresOf(records: readonly Records[], width: number, { memory, files }: Destination): Features {
  const { stored } = records[0]!;
  const samples = records.reduce((sum, each) => sum + each.samples, 0);
  const bytes = samples * width * (stored === "uint8" ? 1 : 4);
  const left = (open: OpenFiles): FeatureFile => ({
    stored,
    length: samples * width,
    pieces: records.map(({ path, offset, stride, samples: count }) => ({
      path,
      descriptor: open.add(openForReading(path)),
      offset,
      stride,
      samples: count,
    })),
  });
  if (bytes > memory) return left(files);
  const open = new OpenFiles();
  try {
    return inMemory(left(open), width);
  } finally {
    open.close();
  }
}

/** The same values in shared memory. */
function inMemory(file: FeatureFile, width: number): Features {
  const floats = file.stored === "float32";
  const buffer = sharedBuffer(file.length * (floats ? 4 : 1));
  const array = floats ? new Float32Array(buffer) : new Uint8Array(buffer);
  for (const { first, values } of blocksOf(file, width)) array.set(values, first * width);
  return array;
}

function openForReading(path: string): number {
  try {
    return openSync(path, "r");
  } catch (cause) {
    throw unreadable(path, cause);
  }
}
