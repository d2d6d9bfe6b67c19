/** Long vectors are worked on block by block: what is done to one block finds it in the processor's cache. */
import type { Kernels } from "../kernels/index.ts";

/** Bytes of a block, whole 64-byte lines; the last may be shorter. */
const BLOCK_BYTES = 262_144;

/** A checksum over all blocks of a vector, made of `Kernels.checksum` of each: an unsigned 32-bit integer. */
export function blockwiseChecksum(kernels: Kernels, offset: number, bytes: number): number {
  let sum = 0;
  for (let at = 0; at < bytes; at += BLOCK_BYTES)
    sum = mixed(sum, kernels.checksum(offset + at, Math.min(BLOCK_BYTES, bytes - at) / 4));
  return sum;
}

/** What a vector is like. */
export interface Inspected {
  /** As `blockwiseChecksum` gives it. */
  readonly checksum: number;
  /** Whether every value is a finite number. */
  readonly isFinite: boolean;
}

/** Looks at a vector once, block by block. */
export function inspect(kernels: Kernels, offset: number, bytes: number): Inspected {
  let checksum = 0;
  let isFinite = true;
  for (let at = 0; at < bytes; at += BLOCK_BYTES) {
    const floats = Math.min(BLOCK_BYTES, bytes - at) / 4;
    checksum = mixed(checksum, kernels.checksum(offset + at, floats));
    isFinite &&= kernels.allFinite(offset + at, floats);
  }
  return { checksum, isFinite };
}

/** The mixing step of Kernels.checksum, so that the order of blocks counts. */
const mixed = (hash: number, word: number): number => Math.imul(((hash << 5) | (hash >>> 27)) ^ word, 0x9e3779b1) >>> 0;
