/**
 * The parameters of a version on their way to workers: copied once for all of them, segment by segment, when the first of them
 * gets there. They are copied because a slow worker may still be sent a version when its place in memory is written again. A
 * copy's buffer is used again once the version is over and no connection holds anything of it.
 */
import type { StepNumber } from "../shared/ids.ts";
import { copyBytes } from "../shared/memory/copy.ts";
import type { CheckedVector } from "../shared/memory/vector.ts";
import { encodeFrame, segmentsOf } from "../shared/protocol/codec.ts";
import type { Frame } from "../shared/protocol/codec.ts";
import { madeOnce } from "../shared/protocol/outbox.ts";

/** What one worker is sent, and what to call once its connection holds none of it any more. */
export interface Lent {
  readonly frames: Iterable<Frame>;
  readonly over: () => void;
}

interface Copy {
  readonly buffer: Buffer;
  isCurrent: boolean;
  users: number;
}

/** Buffers of one length that are kept: the next version's, and one more where some worker is a step behind. */
const MOST_SPARE = 2;

export class Outgoing {
  /** Of the current version, by length: the whole of it, or a part. */
  readonly #copies = new Map<number, { readonly copy: Copy; readonly frames: Iterable<Frame> }>();
  readonly #spare = new Map<number, Buffer[]>();

  /** The frames of a vector that is this version of the parameters, the current one, or its first bytes. */
  lend(version: StepNumber, vector: CheckedVector): Lent {
    const { length } = vector.bytes;
    let found = this.#copies.get(length);
    if (found === undefined) {
      const buffer = this.#spare.get(length)?.pop() ?? Buffer.allocUnsafeSlow(length);
      const copy = { buffer, isCurrent: true, users: 0 };
      found = { copy, frames: madeOnce(encode(copy, version, vector)) };
      this.#copies.set(length, found);
    }
    const { copy, frames } = found;
    copy.users += 1;
    return {
      frames,
      over: () => {
        copy.users -= 1;
        this.#reuse(copy);
      },
    };
  }

  /** The current version is over: no more frames of it are made. */
  expire(): void {
    const copies = [...this.#copies.values()];
    this.#copies.clear();
    for (const { copy } of copies) {
      copy.isCurrent = false;
      this.#reuse(copy);
    }
  }

  #reuse({ buffer, isCurrent, users }: Copy): void {
    if (isCurrent || users > 0) return;
    const spare = this.#spare.get(buffer.length) ?? [];
    this.#spare.set(buffer.length, spare);
    if (spare.length < MOST_SPARE) spare.push(buffer);
  }
}

function* encode(copy: Copy, version: StepNumber, vector: CheckedVector): Generator<Frame> {
  for (const { segment, section } of segmentsOf(vector)) {
    if (!copy.isCurrent) return;
    const copied = copy.buffer.subarray(segment.offset, segment.offset + segment.length);
    copyBytes(copied, section);
    yield encodeFrame({ type: "parameters", version, segment }, copied);
  }
}
