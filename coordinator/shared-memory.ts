/**
 * What the coordinator shares with workers of its host: its parameters, and for each worker slots for partials and a line on
 * which its threads say that one is there.
 */
import { randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { Socket } from "node:net";
import { LockstepError } from "../shared/errors.ts";
import type { WorkerId } from "../shared/ids.ts";
import { placedBytes } from "../shared/memory/host-memory.ts";
import type { HostFile } from "../shared/memory/host-memory.ts";
import { operatingSystem } from "../shared/memory/system.ts";
import { LineReader } from "../shared/protocol/line.ts";
import type { LineName } from "../shared/protocol/line.ts";
import type { MemoryOffer } from "../shared/protocol/messages.ts";

/** What comes over a worker's line. */
export interface LineListener {
  onFrame(frame: Buffer): void;
  onViolation(error: LockstepError): void;
}

interface Share {
  readonly slots: HostFile;
  readonly line: Line;
}

export class SharedMemory {
  readonly #parameters: HostFile;
  readonly #slotBytes: number;
  readonly #shares = new Map<WorkerId, Share>();

  /** @param parameters the file that the parameters are in; @param partialBytes bytes of a training step's partial */
  constructor(parameters: HostFile, partialBytes: number) {
    this.#parameters = parameters;
    this.#slotBytes = placedBytes(partialBytes);
  }

  /** What a worker is offered; undefined when memory is short. */
  offer(worker: WorkerId, listener: LineListener): MemoryOffer | undefined {
    const slots = this.#parameters.another(this.#slotBytes);
    if (slots === undefined) return undefined;
    const line = new Line(listener);
    this.#shares.set(worker, { slots, line });
    return { parameters: this.#parameters.name, partials: slots.name, line: line.name };
  }

  /** Reads what a worker has left in its slots; whether it was there. */
  read(worker: WorkerId, into: Uint8Array, position: number): boolean {
    return this.#shares.get(worker)?.slots.read(into, position) ?? false;
  }

  /** A worker is gone. */
  forget(worker: WorkerId): void {
    const share = this.#shares.get(worker);
    share?.slots.close();
    share?.line.close();
    this.#shares.delete(worker);
  }
}

/** The end of a line that is read. The writing end is kept open too: the pipe lives as long as the connection. */
class Line {
  readonly name: LineName;
  readonly #ends: readonly Socket[];

  constructor(listener: LineListener) {
    const ends = new Int32Array(2);
    if (operatingSystem()!.pipe2(ends, constants.O_NONBLOCK | O_CLOEXEC) !== 0)
      throw new Error("the system has no pipe left for a worker");
    const [reading, writing] = ends as unknown as [number, number];
    const reader = new LineReader((frame) => listener.onFrame(frame));
    const socket = new Socket({ fd: reading, readable: true, writable: false });
    socket.on("data", (chunk: Buffer) => {
      try {
        reader.take(chunk);
      } catch (error) {
        if (!(error instanceof LockstepError)) throw error;
        socket.destroy();
        listener.onViolation(error);
      }
    });
    this.#ends = [socket, new Socket({ fd: writing, readable: false, writable: true })];
    this.name = { path: `/proc/${process.pid}/fd/${writing}`, id: randomUUID() };
  }

  close(): void {
    for (const end of this.#ends) end.destroy();
  }
}

/** Not among Node's constants; the same on every processor of Linux. */
const O_CLOEXEC = 0o2000000;
