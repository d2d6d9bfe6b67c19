/**
 * The parameters of a version on their way to workers: copied once for all of them, segment by segment, when the first of them
 * gets there. They are copied because a slow worker may still be sent a version when its place in memory is written again. A
 * copy is written over by the next version's if no connection holds anything of it by then; else it is left to those that do,
 * segment by segment.
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
  /** Of its segments. */
  readonly buffers: Buffer[];
  readonly frames: Iterable<Frame>;
  users: number;
}

export class Outgoing {
  /** Of the current version, by length: the whole of it, or a part. */
  #copies = new Map<number, Copy>();
  /** Of the version before, and not in use. */
  #spare = new Map<number, Buffer[]>();

  /** The frames of a vector that is this version of the parameters, the current one, or its first bytes. */
  lend(version: StepNumber, vector: CheckedVector): Lent {
    const { length } = vector.bytes;
    const copy = this.#copies.get(length) ?? this.#begin(version, vector);
    copy.users += 1;
    return { frames: copy.frames, over: () => void (copy.users -= 1) };
  }

  /** The current version is over: no more frames of it are made. */
  expire(): void {
    const unused = [...this.#copies].filter(([, { users }]) => users === 0);
    this.#spare = new Map(unused.map(([length, { buffers }]) => [length, buffers]));
    this.#copies = new Map();
  }

  #begin(version: StepNumber, vector: CheckedVector): Copy {
    const { length } = vector.bytes;
    const buffers = this.#spare.get(length) ?? [];
    this.#spare.delete(length);
    const isCurrent = (): boolean => this.#copies.get(length) === copy;
    const copy: Copy = { buffers, frames: madeOnce(encode(buffers, version, vector, isCurrent)), users: 0 };
    this.#copies.set(length, copy);
    return copy;
  }
}

function* encode(
  buffers: Buffer[],
  version: StepNumber,
  vector: CheckedVector,
  isCurrent: () => boolean,
): Generator<Frame> {
  let index = 0;
  for (const { segment, section } of segmentsOf(vector)) {
    if (!isCurrent()) return;
    const buffer = (buffers[index++] ??= Buffer.allocUnsafeSlow(section.length));
    copyBytes(buffer, section);
    yield encodeFrame({ type: "parameters", version, segment }, buffer);
  }
}
