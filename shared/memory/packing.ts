/**
 * Room in an arena through which segments are packed, to be sent, and unpacked (kernels/assembly/pack.ts). It takes bits out of
 * their way, not out of them: what is unpacked is what was packed.
 */
import type { Kernels } from "../kernels/index.ts";
import { SEGMENT_BYTES } from "../protocol/messages.ts";
import type { Arena } from "./arena.ts";
import { copyBytes } from "./copy.ts";

/** A segment whose words have nothing in common, and what the kernels write and read behind it. */
const SLOT_BYTES = 64 * Math.ceil((134 * Math.ceil(SEGMENT_BYTES / 128) + 144) / 64);

/** No region begins here. */
const NOWHERE = 0;

/** Bytes of an arena that it needs. */
export const packingBytes = (kept = 1): number => (kept + 1) * SLOT_BYTES;

export class Packing {
  readonly #arena: Arena;
  readonly #kernels: Kernels;
  /** Slots for what is packed, used in turn, and one for what is unpacked. */
  readonly #slots: readonly number[];
  readonly #inbox: number;
  #packed = 0;

  /** @param kept how many packed segments stay as they are: the oldest makes room for the next */
  constructor(arena: Arena, kernels: Kernels, kept = 1) {
    this.#arena = arena;
    this.#kernels = kernels;
    this.#slots = Array.from({ length: kept }, () => arena.allocate(SLOT_BYTES));
    this.#inbox = arena.allocate(SLOT_BYTES);
  }

  /**
   * Packs `length` bytes, whole 64-byte lines and no more than a segment's; they may have become more.
   * @param base where as many bytes are that they are like, if whoever unpacks them has those
   */
  pack(offset: number, length: number, base = NOWHERE): Uint8Array {
    const slot = this.#slots[this.#packed++ % this.#slots.length]!;
    return this.#arena.bytes(slot, this.#kernels.pack(slot, offset, base, length / 4));
  }

  /** Unpacks so many bytes, with the same base; whether it was packed so many. Nothing beside them is written. */
  unpack(packed: Uint8Array, offset: number, length: number, base = NOWHERE): boolean {
    if (packed.length > SEGMENT_BYTES) return false;
    copyBytes(this.#arena.bytes(this.#inbox, packed.length), packed);
    return this.#kernels.unpack(offset, base, this.#inbox, packed.length, length / 4);
  }
}
