/**
 * The order in which frames leave one connection. Control frames go at once; bulk frames follow one another, at most
 * `WINDOW` unflushed at a time, so that a heartbeat or an assignment never waits behind a whole model and the socket's
 * own buffer stays small.
 */
const WINDOW = 4;

/** Writes one frame and calls `flushed` once the socket has taken it. */
export type WriteFrame = (frame: Buffer, flushed: () => void) => void;

export class Outbox {
  readonly #write: WriteFrame;
  #waiting: { readonly frame: Buffer; readonly about: string }[] = [];
  #unflushed = 0;

  constructor(write: WriteFrame) {
    this.#write = write;
  }

  /** Sends a control frame now. */
  send(frame: Buffer): void {
    this.#write(frame, () => {});
  }

  /** Queues bulk frames behind those already queued, under the name of what they are about. */
  sendBulk(frames: Iterable<Buffer>, about: string): void {
    for (const frame of frames) this.#waiting.push({ frame, about });
    this.#pump();
  }

  /** Forgets bulk frames about what nobody waits for any more, such as a step that is over. */
  dropBulk(about: string): void {
    this.#waiting = this.#waiting.filter((each) => each.about !== about);
  }

  #pump(): void {
    while (this.#unflushed < WINDOW) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      this.#unflushed += 1;
      this.#write(next.frame, () => {
        this.#unflushed -= 1;
        this.#pump();
      });
    }
  }
}
