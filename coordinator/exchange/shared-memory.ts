/**
 * What the coordinator shares with workers of its host: its parameters, and for each worker slots for partials and a line on
 * which its threads say that one is there.
 */
import { randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { Socket } from "node:net";
import { LockstepError } from "../../shared/errors.ts";
import type { WorkerId } from "../../shared/ids.ts";
import type { Arena } from "../../shared/memory/arena.ts";
import { BufferPool } from "../../shared/memory/buffers.ts";
import { pageFor, PLACED_PARTIALS, placedBytes } from "../../shared/memory/host-memory.ts";
import type { HostFile } from "../../shared/memory/host-memory.ts";
import { operatingSystem } from "../../shared/system.ts";
import type { Frame } from "../../shared/protocol/codec.ts";
import { LineReader } from "../../shared/protocol/line.ts";
import type { LineName } from "../../shared/protocol/line.ts";
import type { MemoryOffer } from "../../shared/protocol/messages.ts";

/** What comes over a worker's line. */
export interface LineListener {
  onFrame(frame: Frame): void;
  onViolation(error: LockstepError): void;
}

interface Share {
  readonly slots: HostFile;
  /** The region of the arena that the slots are laid over. */
  readonly region: number;
  readonly line: Line;
}

/** Workers that can share memory at a time; the others send their partials. */
const MOST_SHARES = 256;
/** Bytes of the arena for all their slots, where it has room; of memory they need what they use. */
const MOST_BYTES = 2 ** 31;

/**
 * Bytes of an arena that the slots of as many workers need as there is room for.
 * @param partialBytes bytes of a training step's partial; @param room bytes that the arena may have for them
 */
export function sharedBytes(partialBytes: number, room: number): number {
  const shares = sharesIn(partialBytes, room);
  const bytes = placedBytes(partialBytes);
  return shares === 0 ? 0 : pageFor(bytes) + shares * bytes;
}

function sharesIn(partialBytes: number, room: number): number {
  const bytes = placedBytes(partialBytes);
  return Math.max(0, Math.min(MOST_SHARES, Math.floor((Math.min(MOST_BYTES, room) - pageFor(bytes)) / bytes)));
}

export class SharedMemory {
  readonly #arena: Arena;
  readonly #parameters: HostFile;
  readonly #partialBytes: number;
  readonly #shares = new Map<WorkerId, Share>();
  /** Regions that can be laid over now. */
  readonly #free: BufferPool;
  /** Regions whose worker is gone: the open work may still read what it has left there. */
  #abandoned: number[] = [];

  /** @param parameters the file that the parameters are in; the rest as for `sharedBytes` */
  constructor(arena: Arena, parameters: HostFile, partialBytes: number, room: number) {
    this.#arena = arena;
    this.#parameters = parameters;
    this.#partialBytes = partialBytes;
    const bytes = placedBytes(partialBytes);
    const shares = sharesIn(partialBytes, room);
    const first = shares === 0 ? 0 : arena.allocate(shares * bytes, pageFor(bytes));
    const regions = Array.from({ length: shares }, (_, share) => first + share * bytes);
    this.#free = new BufferPool(arena, bytes, 0, regions);
  }

  /** What a worker is offered; undefined when memory is short, or the files that a process may have. */
  offer(worker: WorkerId, listener: LineListener): MemoryOffer | undefined {
    const bytes = placedBytes(this.#partialBytes);
    const region = this.#free.acquire();
    if (region === undefined) return undefined;
    const slots = this.#parameters.another(bytes);
    const line = slots && Line.open(listener);
    if (slots === undefined || line === undefined) {
      slots?.close();
      this.#free.release(region);
      return undefined;
    }
    slots.mapOver(this.#arena, region, 0, bytes, "read");
    this.#shares.set(worker, { slots, region, line });
    return { parameters: this.#parameters.name, partials: slots.name, line: line.name };
  }

  /** The byte offset of the partial that a worker has left at a position of its slots; undefined if there is no such slot. */
  placeOf(worker: WorkerId, position: number): number | undefined {
    const region = this.#shares.get(worker)?.region;
    const isSlot = position % this.#partialBytes === 0 && position < PLACED_PARTIALS * this.#partialBytes;
    return region === undefined || !isSlot ? undefined : region + position;
  }

  /** A worker is gone. What it has left stays until `reuse`. */
  forget(worker: WorkerId): void {
    const share = this.#shares.get(worker);
    if (share === undefined) return;
    share.slots.close();
    share.line.close();
    this.#shares.delete(worker);
    this.#abandoned.push(share.region);
  }

  /** Nobody reads any more what workers that are gone have left. */
  reuse(): void {
    for (const region of this.#abandoned) this.#free.release(region);
    this.#abandoned = [];
  }

  /** No worker joins any more. What is mapped may still be read. */
  close(): void {
    for (const worker of this.#shares.keys()) this.forget(worker);
    this.#parameters.close();
  }
}

/** The end of a line that is read. The writing end is kept open too: the pipe lives as long as the connection. */
class Line {
  readonly name: LineName;
  readonly #ends: readonly Socket[];

  /** Undefined where the system has no pipe left for a worker. */
  static open(listener: LineListener): Line | undefined {
    const ends = new Int32Array(2);
    if (operatingSystem()!.pipe2(ends, constants.O_NONBLOCK | O_CLOEXEC) !== 0) return undefined;
    const [reading, writing] = ends as unknown as [number, number];
    return new Line(reading, writing, listener);
  }

  private constructor(reading: number, writing: number, listener: LineListener) {
    const reader = new LineReader((header) => listener.onFrame([header]));
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
