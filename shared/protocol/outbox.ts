/**
 * The order in which frames leave one connection. Control frames go at once; bulk frames follow one another, at most
 * `WINDOW` unflushed at a time, so that a heartbeat or an assignment never waits behind a whole model and the socket's
 * own buffer stays small. A bulk frame is made when it is its turn: of a vector that waits for a slow connection nothing is
 * copied yet.
 */
const WINDOW = 4;

/** Writes one frame and calls `flushed` once the socket has taken it. */
export type WriteFrame = (frame: Buffer, flushed: () => void) => void;

/** Frames that follow one another. */
interface Bulk {
  readonly frames: Iterator<Buffer>;
  readonly about: string;
  readonly over: () => void;
}

export class Outbox {
  readonly #write: WriteFrame;
  #waiting: Bulk[] = [];
  #unflushed = 0;

  constructor(write: WriteFrame) {
    this.#write = write;
  }

  /** Sends a control frame now. */
  send(frame: Buffer): void {
    this.#write(frame, () => {});
  }

  /**
   * Queues bulk frames behind those already queued, under the name of what they are about.
   * @param over called once no more of them will be made, because all are or because they were dropped
   */
  sendBulk(frames: Iterable<Buffer>, about: string, over = (): void => {}): void {
    this.#waiting.push({ frames: frames[Symbol.iterator](), about, over });
    this.#pump();
  }

  /** Forgets bulk frames about what nobody waits for any more, such as a step that is over. */
  dropBulk(about: string): void {
    const dropped = this.#waiting.filter((each) => each.about === about);
    this.#waiting = this.#waiting.filter((each) => each.about !== about);
    for (const { over } of dropped) over();
  }

  #pump(): void {
    while (this.#unflushed < WINDOW) {
      const [first] = this.#waiting;
      if (first === undefined) return;
      const { value, done } = first.frames.next();
      if (done === true) {
        this.#waiting.shift();
        first.over();
        continue;
      }
      this.#unflushed += 1;
      this.#write(value, () => {
        this.#unflushed -= 1;
        this.#pump();
      });
    }
  }
}

/** What several outboxes send: each frame is made once, when the first of them gets there. */
export function madeOnce(frames: Iterator<Buffer>): Iterable<Buffer> {
  const made: Buffer[] = [];
  return {
    *[Symbol.iterator]() {
      for (let index = 0; ; index++) {
        const next = index === made.length ? frames.next() : undefined;
        if (next?.done === true) return;
        if (next !== undefined) made.push(next.value);
        yield made[index]!;
      }
    },
  };
}
