/**
 * The parameters of a version on their way to workers: copied once for all of them, segment by segment, when the first of them
 * gets there. They are copied because a slow worker may still be sent a version when its place in memory is written again. A
 * copy is written over by a later version's if no connection holds anything of it by then; else it is left to those that do,
 * segment by segment. The end of the next version may be on its way while the current one still is.
 */
import type { StepNumber } from "../shared/ids.ts";
import { copyBytes } from "../shared/memory/copy.ts";
import type { CheckedVector } from "../shared/memory/vector.ts";
import { encodeFrame, segmentAt } from "../shared/protocol/codec.ts";
import type { Frame } from "../shared/protocol/codec.ts";
import { SEGMENT_BYTES } from "../shared/protocol/messages.ts";

/** What one worker is sent, and what to call once its connection holds none of it any more. */
export interface Lent {
  readonly frames: Iterable<Frame>;
  readonly over: () => void;
}

/** Of a version, the whole of it or a part; segments in order. */
interface Copy {
  readonly version: StepNumber;
  readonly length: number;
  readonly buffers: Buffer[];
  readonly frames: (Frame | undefined)[];
  users: number;
}

export class Outgoing {
  #copies: Copy[] = [];
  /** Buffers of versions that are over, and not in use. */
  readonly #spare = new Map<number, Buffer[]>();

  /**
   * The frames of a vector that is this version of the parameters, or its first bytes.
   * @param offsets where the segments begin that are wanted, in this order; they are looked at only when it is their turn
   */
  lend(version: StepNumber, vector: CheckedVector, offsets: Iterable<number>): Lent {
    const { length } = vector.bytes;
    const isIts = (copy: Copy): boolean => copy.version === version && copy.length === length;
    const copy = this.#copies.find(isIts) ?? this.#begin(version, length);
    copy.users += 1;
    return { frames: this.#framesOf(copy, vector, offsets), over: () => void (copy.users -= 1) };
  }

  /** Versions before this one are over: no more frames of them are made. */
  expire(version: number): void {
    for (const { length, buffers } of this.#copies.filter((copy) => copy.version < version && copy.users === 0))
      this.#spare.set(length, buffers);
    this.#copies = this.#copies.filter((copy) => copy.version >= version);
  }

  /** What was made of this version is not it: no more is made of that. */
  retract(version: number): void {
    this.#copies = this.#copies.filter((copy) => copy.version !== version);
  }

  #begin(version: StepNumber, length: number): Copy {
    const buffers = this.#spare.get(length) ?? [];
    this.#spare.delete(length);
    const copy: Copy = { version, length, buffers, frames: [], users: 0 };
    this.#copies.push(copy);
    return copy;
  }

  *#framesOf(copy: Copy, vector: CheckedVector, offsets: Iterable<number>): Generator<Frame> {
    for (const offset of offsets) {
      if (!this.#copies.includes(copy)) return;
      const index = offset / SEGMENT_BYTES;
      yield (copy.frames[index] ??= encode(copy, vector, offset));
    }
  }
}

function encode({ version, buffers }: Copy, vector: CheckedVector, offset: number): Frame {
  const { segment, section } = segmentAt(vector, offset);
  const buffer = (buffers[offset / SEGMENT_BYTES] ??= Buffer.allocUnsafeSlow(section.length));
  copyBytes(buffer, section);
  return encodeFrame({ type: "parameters", version, segment }, buffer);
}
