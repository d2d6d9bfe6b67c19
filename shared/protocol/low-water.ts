/**
 * How many bytes are to be there before the system wakes a socket's reader (SO_RCVLOWAT; Linux, where the kernel's calls can be
 * reached). By itself it wakes a reader that is faster than the sender for every 64 to 128 KiB, on both sides at the price of some
 * tens of microseconds. After a while bytes are read however few they are: on a slow link they are the sign of life.
 */
import type { Socket } from "node:net";
import { operatingSystem } from "../system.ts";

const SOL_SOCKET = 1;
const SO_RCVLOWAT = 18;

/** That a reader is woken so seldom, and what it reads is still in the processor's cache when it looks at it. */
const MOST_BYTES = 1 << 20;
/** Milliseconds in which that many come on every link that is worth it. */
const PATIENCE = 500;

export class LowWater {
  readonly #socket: Socket;
  #mark = 1;
  #patience: NodeJS.Timeout | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** The reader wants so many bytes before anything else, or, with 0, whatever comes. */
  want(bytes: number): void {
    // Of a short payload, or the end of one that the reader was not patient with, some is read while the rest is sent.
    if (bytes < MOST_BYTES && this.#mark === 1) return;
    const mark = Math.max(1, Math.min(bytes, MOST_BYTES));
    if (mark > 1) this.#patience = this.#patience?.refresh() ?? setTimeout(() => this.#set(1), PATIENCE).unref();
    this.#set(mark);
  }

  #set(mark: number): void {
    if (mark === this.#mark) return;
    this.#mark = mark;
    const { _handle: handle } = this.#socket as { _handle?: { readonly fd?: number } | null };
    // A system that does not raise it wakes the reader more often.
    if (handle?.fd !== undefined)
      operatingSystem()?.setsockopt(
        handle.fd,
        SOL_SOCKET,
        SO_RCVLOWAT,
        Int32Array.of(mark),
        Int32Array.BYTES_PER_ELEMENT,
      );
  }
}
