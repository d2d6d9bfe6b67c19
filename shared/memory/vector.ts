/** A vector in an arena, as it is sent and received: its bytes, and checksums of whole 64-byte lines of them, in place. */
import type { Kernels } from "../kernels/index.ts";
import type { Arena } from "./arena.ts";

export interface CheckedVector {
  readonly bytes: Uint8Array;
  /** `Kernels.checksum` of `length` bytes from byte `from` on, both multiples of 64. */
  readonly checksum: (from: number, length: number) => number;
}

export const checkedVector = (arena: Arena, kernels: Kernels, offset: number, bytes: number): CheckedVector => ({
  bytes: arena.bytes(offset, bytes),
  checksum: (from, length) => kernels.checksum(offset + from, length / 4),
});
