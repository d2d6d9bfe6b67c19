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
  #waiting: Buffer[] = [];
  #unflushed = 0;

  constructor(write: WriteFrame) {
    this.#write = write;
  }

  /** Sends a control frame now. */
  send(frame: Buffer): void {
    this.#write(frame, () => {});
  }

  /** Queues bulk frames behind those already queued. */
  sendBulk(frames: Iterable<Buffer>): void {
    for (const frame of frames) this.#waiting.push(frame);
    this.#pump();
  }

  /** Forgets bulk frames that nobody waits for any more, such as parameters of a step that is over. */
  dropBulk(): void {
    this.#waiting = [];
  }

  #pump(): void {
    while (this.#unflushed < WINDOW) {
      const frame = this.#waiting.shift();
      if (frame === undefined) return;
      this.#unflushed += 1;
      this.#write(frame, () => {
        this.#unflushed -= 1;
        this.#pump();
      });
    }
  }
}
