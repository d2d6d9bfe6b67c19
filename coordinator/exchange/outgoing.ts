/**
 * The parameters of a version on their way to workers: each segment becomes a frame once for all of them, when the first of them
 * gets there. What is not packed is sent from where it lies. Its place is written again two steps later, which all who had a part in
 * the steps between have read it for; a worker that has stood still since gets a frame with a wrong checksum, of a version that is
 * over, and says so (`Damaged` in messages.ts). What is packed is copied from where it was packed to buffers, which a later version's
 * take if no connection holds anything of them by then; else they are left to those that do. The end of the next version may be on
 * its way while the current one still is.
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
interface Edition {
  readonly version: StepNumber;
  readonly length: number;
  readonly packed: Packed | undefined;
  /** Of what is packed, by the same block. */
  readonly buffers: Buffer[];
  readonly frames: (Frame | undefined)[];
  users: number;
}

export class Outgoing {
  #editions: Edition[] = [];
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
    const isIt = (edition: Edition): boolean => edition.version === version && likeOf(edition) === likeOf(wanted);
    const edition = this.#editions.find(isIt) ?? this.#begin(wanted);
    edition.users += 1;
    return { frames: this.#framesOf(edition, vector, extents), over: () => void (edition.users -= 1) };
  }

  /** Versions before this one are over: no more frames of them are made. */
  expire(version: number): void {
    // What the last version had no use for is given up.
    this.#spare.clear();
    for (const edition of this.#editions.filter((each) => each.version < version && each.users === 0))
      this.#spare.set(likeOf(edition), edition.buffers);
    this.#editions = this.#editions.filter((edition) => edition.version >= version);
  }

  /** What was made of this version is not it: no more is made of that. */
  retract(version: number): void {
    this.#editions = this.#editions.filter((edition) => edition.version !== version);
  }

  #begin(wanted: Pick<Edition, "version" | "length" | "packed">): Edition {
    const buffers = this.#spare.get(likeOf(wanted)) ?? [];
    this.#spare.delete(likeOf(wanted));
    const edition: Edition = { ...wanted, buffers, frames: [], users: 0 };
    this.#editions.push(edition);
    return edition;
  }

  *#framesOf(edition: Edition, vector: CheckedVector, extents: Iterable<Extent>): Generator<Frame> {
    for (const extent of extents) {
      if (!this.#editions.includes(edition)) return;
      yield (edition.frames[indexOf(extent)] ??= encode(edition, vector, extent));
    }
  }
}

/** Editions that can use each other's buffers. */
const likeOf = ({ length, packed }: Pick<Edition, "length" | "packed">): string => `${length} ${packed}`;

const indexOf = ({ offset }: Extent): number => offset / SEGMENT_BYTES;

function encode({ version, packed, buffers }: Edition, vector: CheckedVector, extent: Extent): Frame {
  const { segment, section } = segmentOf(vector, extent, packed !== undefined);
  const message = { type: "parameters", version, segment } as const;
  if (packed === undefined) return encodeFrame(message, section);
  const room = (buffers[indexOf(extent)] ??= Buffer.allocUnsafeSlow(segment.length));
  const buffer = room.subarray(0, section.length);
  copyBytes(buffer, section);
  return encodeFrame(message, buffer);
}
