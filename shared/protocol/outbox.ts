/**
 * The order in which frames leave one connection. Control frames go at once; bulk frames follow one another, at most
 * `MOST_UNFLUSHED` at a time before the socket has taken them, so that a heartbeat or an assignment never waits behind a whole
 * model and the socket's own buffer stays small. A bulk frame is made when it is its turn: of a vector that waits for a slow
 * connection nothing is copied yet.
 */
import type { Frame } from "./codec.ts";

/** Bulk frames that are on their way to the socket at a time. */
export const MOST_UNFLUSHED = 4;

/** Writes one frame and calls `flushed` once the socket has taken it. */
export type WriteFrame = (frame: Frame, flushed: () => void) => void;

/** Frames that follow one another. */
interface Bulk {
  /** Undefined when no more of them will be made: what it could make is not held any longer. */
  frames: Iterator<Frame> | undefined;
  readonly about: string;
  readonly over: () => void;
  unflushed: number;
}

export class Outbox {
  readonly #write: WriteFrame;
  /** All that are not over; those of which more will be made are also waiting. */
  readonly #bulks = new Set<Bulk>();
  #waiting: Bulk[] = [];
  #unflushed = 0;
  #isClosed = false;

  constructor(write: WriteFrame) {
    this.#write = write;
  }

  /** Sends a control frame now. */
  send(frame: Frame): void {
    this.#write(frame, () => {});
  }

  /**
   * Queues bulk frames behind those already queued, under the name of what they are about.
   * @param over called once none of them will be made and the socket holds none: all are out, or the others were dropped, or the
   * connection is closed
   */
  sendBulk(frames: Iterable<Frame>, about: string, over = (): void => {}): void {
    if (this.#isClosed) {
      over();
      return;
    }
    const bulk = { frames: frames[Symbol.iterator](), about, over, unflushed: 0 };
    this.#bulks.add(bulk);
    this.#waiting.push(bulk);
    this.#pump();
  }

  /** Forgets bulk frames about what nobody waits for any more, such as a step that is over. */
  dropBulk(about: string): void {
    const dropped = this.#waiting.filter((each) => each.about === about);
    this.#waiting = this.#waiting.filter((each) => each.about !== about);
    for (const bulk of dropped) this.#made(bulk);
  }

  /** The connection is closed: nothing is sent any more. */
  close(): void {
    this.#isClosed = true;
    this.#waiting = [];
    for (const bulk of this.#bulks) this.#end(bulk);
  }

  #pump(): void {
    while (this.#unflushed < MOST_UNFLUSHED) {
      const [first] = this.#waiting;
      if (first?.frames === undefined) return;
      const { value, done } = first.frames.next();
      if (done === true) {
        this.#waiting.shift();
        this.#made(first);
        continue;
      }
      this.#unflushed += 1;
      first.unflushed += 1;
      this.#write(value, () => {
        this.#unflushed -= 1;
        first.unflushed -= 1;
        if (first.frames === undefined && first.unflushed === 0) this.#end(first);
        this.#pump();
      });
    }
  }

  #made(bulk: Bulk): void {
    bulk.frames = undefined;
    if (bulk.unflushed === 0) this.#end(bulk);
  }

  #end(bulk: Bulk): void {
    if (this.#bulks.delete(bulk)) bulk.over();
  }
}
