/**
 * A line: a pipe from the compute threads of a worker to a coordinator on the same host, beside the WebSocket. A thread says on
 * it itself that its sums are in shared memory, without waiting for its main thread. Frames as on the WebSocket, each with
 * its length in front; so short that they are written whole or not at all.
 */
import { closeSync, constants, fstatSync, openSync, writeSync } from "node:fs";
import { LockstepError } from "../errors.ts";
import { isDescriptorPath } from "../memory/host-memory.ts";

/** Where the pipe can be reached, as a HostFileName; `id` tells it from an earlier one at the same path. */
export interface LineName {
  readonly path: string;
  readonly id: string;
}

/** What a pipe takes in one piece, with the length in front (PIPE_BUF of Linux). */
const LONGEST_FRAME = 4096 - 4;

/** The end that is written to. Each thread has its own. */
export class LineWriter {
  readonly id: string;
  readonly #descriptor: number;

  private constructor(id: string, descriptor: number) {
    this.id = id;
    this.#descriptor = descriptor;
  }

  /** Undefined if there is no such pipe of this user's. */
  static open({ path, id }: LineName): LineWriter | undefined {
    if (!isDescriptorPath(path)) return undefined;
    let descriptor: number;
    try {
      descriptor = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
    } catch {
      return undefined;
    }
    const status = fstatSync(descriptor);
    if (status.isFIFO() && status.uid === process.getuid!()) return new LineWriter(id, descriptor);
    closeSync(descriptor);
    return undefined;
  }

  /** Whether the frame is on its way: not if it is too long, the pipe is full, or nobody reads it any more. */
  send(frame: Uint8Array): boolean {
    if (frame.length > LONGEST_FRAME) return false;
    const whole = Buffer.allocUnsafe(4 + frame.length);
    whole.writeUInt32LE(frame.length, 0);
    whole.set(frame, 4);
    try {
      return writeSync(this.#descriptor, whole) === whole.length;
    } catch {
      return false;
    }
  }

  close(): void {
    closeSync(this.#descriptor);
  }
}

/** Cuts what comes out of a pipe into frames again. */
export class LineReader {
  readonly #onFrame: (frame: Buffer) => void;
  #rest: Buffer = Buffer.alloc(0);

  constructor(onFrame: (frame: Buffer) => void) {
    this.#onFrame = onFrame;
  }

  /** Throws PROTOCOL_VIOLATION at a length that no frame has. */
  take(chunk: Buffer): void {
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    while (bytes.length >= 4) {
      const length = bytes.readUInt32LE(0);
      if (length > LONGEST_FRAME)
        throw new LockstepError("PROTOCOL_VIOLATION", `a line announces a frame of ${length} bytes`);
      if (bytes.length < 4 + length) break;
      this.#onFrame(bytes.subarray(4, 4 + length));
      bytes = bytes.subarray(4 + length);
    }
    this.#rest = bytes;
  }
}
