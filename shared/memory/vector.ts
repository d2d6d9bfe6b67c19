/** A vector in an arena, as it is sent and received: its bytes, and what can be said of whole 64-byte lines of them, in place. */
import type { Kernels } from "../kernels/index.ts";
import type { Arena } from "./arena.ts";
import type { Packed } from "../protocol/messages.ts";
import type { Packing } from "./packing.ts";
import { RunningChecksum } from "./blocks.ts";

export interface CheckedVector {
  readonly bytes: Uint8Array;
  /** The checksum of `length` bytes from byte `from` on, both multiples of 64, which are there or will come. */
  readonly checksum: (from: number, length: number) => RunningChecksum;
  /** `Packing.pack` of `length` bytes from byte `from` on, and what of them is packed. */
  readonly pack: (from: number, length: number) => { readonly packed: Packed; readonly section: Uint8Array };
  /** `Packing.unpack` to `length` bytes from byte `from` on. */
  readonly unpack: (packed: Packed, section: Uint8Array, from: number, length: number) => boolean;
}

/** @param before where the version before is, as long as it is there, for packing the differences to it */
export const checkedVector = (
  arena: Arena,
  kernels: Kernels,
  packing: Packing,
  offset: number,
  bytes: number,
  before = (): number | undefined => undefined,
): CheckedVector => ({
  bytes: arena.bytes(offset, bytes),
  checksum: (from, length) => new RunningChecksum(kernels, offset + from, length),
  pack(from, length) {
    const base = before();
    if (base === undefined) return { packed: "words", section: packing.pack(offset + from, length) };
    return { packed: "differences", section: packing.pack(offset + from, length, base + from) };
  },
  unpack(packed, section, from, length) {
    if (packed === "words") return packing.unpack(section, offset + from, length);
    const base = before();
    return base !== undefined && packing.unpack(section, offset + from, length, base + from);
  },
});
