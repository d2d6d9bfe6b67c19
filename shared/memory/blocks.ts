/** Long vectors are worked on block by block: what is done to one block finds it in the processor's cache. */
import type { Kernels } from "../kernels/index.ts";

/** Floats of a line of the processor's cache, 64 bytes. */
export const LINE_FLOATS = 16;

/** Floats of a block, whole 64-byte lines; the last may be shorter. A few vectors' blocks fit into the cache of a core together. */
export const BLOCK_FLOATS = 16_384;

export const blocksIn = (floats: number): number => Math.ceil(floats / BLOCK_FLOATS);

/** Floats of one of the blocks of a vector. */
export const lengthOf = (block: number, floats: number): number =>
  Math.max(0, Math.min(BLOCK_FLOATS, floats - block * BLOCK_FLOATS));

/**
 * What one block adds to the checksum of its vector: an unsigned 32-bit integer. The terms of all blocks may be found in any
 * order, on any thread; their sum modulo 2³² is the checksum.
 * @param offset of the vector, in bytes; @param floats of the vector
 */
export function checksumTerm(kernels: Kernels, offset: number, floats: number, block: number): number {
  return termOf(kernels.checksum(offset + 4 * BLOCK_FLOATS * block, lengthOf(block, floats)), block);
}

/** The same, of a block that has this checksum by itself. */
export const termOf = (checksum: number, block: number): number =>
  scattered(checksum + Math.imul(block + 1, 0x9e3779b1));

/** The checksum of a vector whose bytes come one after the other: of each block when it has come, and the cache still has it. */
export class RunningChecksum {
  readonly #kernels: Kernels;
  readonly #offset: number;
  readonly #bytes: number;
  #block = 0;
  #sum = 0;

  /** @param offset of the vector, in bytes; @param bytes that it will have */
  constructor(kernels: Kernels, offset: number, bytes: number) {
    this.#kernels = kernels;
    this.#offset = offset;
    this.#bytes = bytes;
  }

  /** Its first so many bytes are there, and stay what they are. */
  reach(bytes: number): void {
    const floats = this.#bytes / 4;
    const whole = bytes < this.#bytes ? Math.floor(bytes / (4 * BLOCK_FLOATS)) : blocksIn(floats);
    for (; this.#block < whole; this.#block++)
      this.#sum += checksumTerm(this.#kernels, this.#offset, floats, this.#block);
  }

  /** Of the whole, which is there: an unsigned 32-bit integer. */
  get value(): number {
    this.reach(this.#bytes);
    return this.#sum >>> 0;
  }
}

/** The checksum of a vector: an unsigned 32-bit integer. */
export const blockwiseChecksum = (kernels: Kernels, offset: number, bytes: number): number =>
  new RunningChecksum(kernels, offset, bytes).value;

/** What a vector is like. */
export interface Inspected {
  /** As `blockwiseChecksum` gives it. */
  readonly checksum: number;
  /** Whether every value is a finite number. */
  readonly isFinite: boolean;
}

/** Looks at a vector once, block by block. */
export function inspect(kernels: Kernels, offset: number, bytes: number): Inspected {
  const floats = bytes / 4;
  const checksum = new RunningChecksum(kernels, offset, bytes);
  let isFinite = true;
  for (let block = 0; block < blocksIn(floats); block++) {
    checksum.reach(4 * (block * BLOCK_FLOATS + lengthOf(block, floats)));
    isFinite &&= kernels.allFinite(offset + 4 * BLOCK_FLOATS * block, lengthOf(block, floats));
  }
  return { checksum: checksum.value, isFinite };
}

/** The finalizer of MurmurHash3: a bijection that leaves no trace of how blocks' checksums and numbers were added. */
function scattered(word: number): number {
  let hash = word | 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
