/**
 * The parameters of a version on their way to workers: copied once for all of them, segment by segment, when the first of them
 * gets there. They are copied because a slow worker may still be sent a version when its place in memory is written again. A
 * copy is written over by a later version's if no connection holds anything of it by then; else it is left to those that do,
 * segment by segment. The end of the next version may be on its way while the current one still is.
 */
import type { StepNumber } from "../../shared/ids.ts";
import { copyBytes } from "../../shared/memory/copy.ts";
import type { CheckedVector } from "../../shared/memory/vector.ts";
import { encodeFrame, segmentOf } from "../../shared/protocol/codec.ts";
import type { Frame } from "../../shared/protocol/codec.ts";
import { SEGMENT_BYTES } from "../../shared/protocol/messages.ts";
import type { Extent, Packed } from "../../shared/protocol/messages.ts";

/** What one worker is sent, and what to call once its connection holds none of it any more. */
export interface Lent {
  readonly frames: Iterable<Frame>;
  readonly over: () => void;
}

/** Of a version, the whole of it or a part, packed or not, which says how it is cut; frames by the block they begin with. */
interface Copy {
  readonly version: StepNumber;
  readonly length: number;
  readonly packed: Packed | undefined;
  readonly buffers: Buffer[];
  readonly frames: (Frame | undefined)[];
  users: number;
}

export class Outgoing {
  #copies: Copy[] = [];
  /** Buffers of versions that are over, and not in use. */
  readonly #spare = new Map<string, Buffer[]>();

  /**
   * The frames of a vector that is this version of the parameters, or its first bytes.
   * @param packed what of it is packed, if anything
   * @param extents the segments that are wanted, in this order; they are looked at only when it is their turn
   */
  lend(version: StepNumber, vector: CheckedVector, packed: Packed | undefined, extents: Iterable<Extent>): Lent {
    const { length } = vector.bytes;
    const wanted = { version, length, packed };
    const isIt = (copy: Copy): boolean => copy.version === version && likeOf(copy) === likeOf(wanted);
    const copy = this.#copies.find(isIt) ?? this.#begin(wanted);
    copy.users += 1;
    return { frames: this.#framesOf(copy, vector, extents), over: () => void (copy.users -= 1) };
  }

  /** Versions before this one are over: no more frames of them are made. */
  expire(version: number): void {
    // What the last version had no use for is given up.
    this.#spare.clear();
    for (const copy of this.#copies.filter((each) => each.version < version && each.users === 0))
      this.#spare.set(likeOf(copy), copy.buffers);
    this.#copies = this.#copies.filter((copy) => copy.version >= version);
  }

  /** What was made of this version is not it: no more is made of that. */
  retract(version: number): void {
    this.#copies = this.#copies.filter((copy) => copy.version !== version);
  }

  #begin(wanted: Pick<Copy, "version" | "length" | "packed">): Copy {
    const buffers = this.#spare.get(likeOf(wanted)) ?? [];
    this.#spare.delete(likeOf(wanted));
    const copy: Copy = { ...wanted, buffers, frames: [], users: 0 };
    this.#copies.push(copy);
    return copy;
  }

  *#framesOf(copy: Copy, vector: CheckedVector, extents: Iterable<Extent>): Generator<Frame> {
    for (const extent of extents) {
      if (!this.#copies.includes(copy)) return;
      yield (copy.frames[indexOf(extent)] ??= encode(copy, vector, extent));
    }
  }
}

/** Copies that can use each other's buffers. */
const likeOf = ({ length, packed }: Pick<Copy, "length" | "packed">): string => `${length} ${packed}`;

const indexOf = ({ offset }: Extent): number => offset / SEGMENT_BYTES;

function encode({ version, packed, buffers }: Copy, vector: CheckedVector, extent: Extent): Frame {
  const { segment, section } = segmentOf(vector, extent, packed !== undefined);
  const room = (buffers[indexOf(extent)] ??= Buffer.allocUnsafeSlow(segment.length));
  const buffer = room.subarray(0, section.length);
  copyBytes(buffer, section);
  return encodeFrame({ type: "parameters", version, segment }, buffer);
}
