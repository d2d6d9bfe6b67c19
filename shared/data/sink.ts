/**
 * Collects features that are read row by row: in memory, or once they are more than that may hold, in a file without a name, which
 * is gone when it is closed or the process ends.
 */
import { openSync, unlinkSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { errnoOf } from "../errno.ts";
import { LockstepError } from "../errors.ts";
import type { Features } from "./features.ts";
import type { Destination } from "./files.ts";

let files = 0;

export class FeatureSink {
  readonly #stored: "uint8" | "float32";
  readonly #to: Destination;
  #held: Uint8Array | Float32Array;
  /** Values in `held`, and in all. */
  #filled = 0;
  #length = 0;
  #spilled: { readonly path: string; readonly descriptor: number } | undefined;

  constructor(stored: "uint8" | "float32", to: Destination) {
    this.#stored = stored;
    this.#to = to;
    this.#held = this.#room(1024);
  }

  append(values: ArrayLike<number>): void {
    if (this.#filled + values.length > this.#held.length) this.#makeRoom(values.length);
    this.#held.set(values, this.#filled);
    this.#filled += values.length;
    this.#length += values.length;
  }

  /** What was collected, in samples of `width` values. */
  finish(width: number): Features {
    if (this.#spilled === undefined) return this.#held.subarray(0, this.#filled);
    this.#spill();
    const { path, descriptor } = this.#spilled;
    const stride = width * this.#held.BYTES_PER_ELEMENT;
    const samples = this.#length / width;
    return {
      stored: this.#stored,
      length: this.#length,
      pieces: [{ path, descriptor, offset: 0, stride, samples }],
    };
  }

  #room(values: number): Uint8Array | Float32Array {
    return this.#stored === "uint8" ? new Uint8Array(values) : new Float32Array(values);
  }

  #makeRoom(values: number): void {
    const larger = 2 * (this.#filled + values);
    if (this.#spilled === undefined && larger * this.#held.BYTES_PER_ELEMENT <= 2 * this.#to.memory) {
      const room = this.#room(larger);
      room.set(this.#held.subarray(0, this.#filled));
      this.#held = room;
      return;
    }
    this.#spill();
    if (values > this.#held.length) this.#held = this.#room(values);
  }

  #spill(): void {
    const path = this.#spilled?.path ?? join(tmpdir(), `lockstep-data-${process.pid}-${(files += 1)}`);
    try {
      if (this.#spilled === undefined) {
        this.#spilled = { path, descriptor: this.#to.files.add(openSync(path, "wx+", 0o600)) };
        unlinkSync(path);
      }
      const { buffer, byteOffset, BYTES_PER_ELEMENT } = this.#held;
      const bytes = new Uint8Array(buffer, byteOffset, this.#filled * BYTES_PER_ELEMENT);
      for (let done = 0; done < bytes.length;) done += writeSync(this.#spilled.descriptor, bytes, done);
      this.#filled = 0;
    } catch (cause) {
      throw new LockstepError(
        "DISK_FAILED",
        `cannot write ${path}: ${errnoOf(cause) ?? String(cause)}: the data is larger than dataMemory, and what is read of it goes there`,
        "Make room there, name another folder in the variable TMPDIR, or raise dataMemory.",
        { cause },
      );
    }
  }
}
