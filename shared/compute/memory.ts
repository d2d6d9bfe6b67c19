/**
 * The memory of a compute pool: the parameters of the last two versions and buffers for sums, in one arena that threads,
 * kernels and engine work on. Parts of it can be the coordinator's too, where that runs on the same host.
 */
import { NOTHING } from "../gradient/arrivals.ts";
import { vectorBytes } from "../gradient/partial.ts";
import type { PartialLayouts } from "../gradient/partial.ts";
import { instantiateKernels } from "../kernels/index.ts";
import type { Kernels } from "../kernels/index.ts";
import { Arena } from "../memory/arena.ts";
import { blockwiseChecksum } from "../memory/blocks.ts";
import { BufferPool } from "../memory/buffers.ts";
import { HostFile, PLACED_PARTIALS, placedBytes, regionIn, roomFor, wholePages } from "../memory/host-memory.ts";
import { Packing, packingBytes } from "../memory/packing.ts";
import { Signal } from "../memory/signal.ts";
import { HOST_PAGE } from "../system.ts";
import { checkedVector } from "../memory/vector.ts";
import type { CheckedVector } from "../memory/vector.ts";
import type { LineName } from "../protocol/line.ts";
import type { RunId } from "../ids.ts";
import type { Announcement } from "./task.ts";
import type { MemoryOffer, WorkKind } from "../protocol/messages.ts";
import { MOST_UNFLUSHED } from "../protocol/outbox.ts";

/** Metrics are a cache line each; an evaluation may have thousands of shards. */
const EVALUATION_SUMS = 4096;

/** The files laid over the parameters and the slots, and where to say that a sum is there. */
interface Shared {
  readonly files: readonly HostFile[];
  readonly run: RunId;
  readonly line: LineName;
}

type Place = Pick<Announcement, "run" | "line" | "position">;

export class ComputeMemory {
  readonly arena: Arena;
  readonly kernels: Kernels;
  readonly #packing: Packing;
  readonly #bytes: Readonly<Record<WorkKind, number>>;
  /** Bytes of all parameters, and of those in front of the first that is frozen. */
  readonly parameterBytes: number;
  readonly trainedBytes: number;
  /** Parameters of even and odd versions: the next ones arrive while the last are still in use. */
  readonly #parameters: readonly [number, number];
  /** Says which version arrived last, or how much of the next one, as `signalOf` has it. Threads wait for it. */
  readonly arrivals: Signal;
  /** Its byte offset, at the start of a page, and that of the number that grows when threads are to stop waiting. */
  readonly arrivalsOffset: number;
  readonly interruptsOffset: number;
  /** Where partials lie that the coordinator can read; the buffers there are used before any other. */
  readonly #slots: number;
  readonly #buffers: Readonly<Record<WorkKind, BufferPool>>;
  #shared: Shared | undefined;

  /** @param sums sums of training steps that may be held at a time */
  constructor({ parameters, partial }: PartialLayouts, sums: number) {
    this.#bytes = { train: vectorBytes(partial.train), evaluate: vectorBytes(partial.evaluate) };
    this.parameterBytes = vectorBytes(parameters);
    this.trainedBytes = 4 * parameters.trained;
    const { train, evaluate } = this.#bytes;
    const block = wholePages(this.parameterBytes);
    const slotBytes = placedBytes(train);
    const ownBytes = packingBytes(MOST_UNFLUSHED) + sums * train + EVALUATION_SUMS * evaluate;
    this.arena = new Arena(2 * roomFor(block) + roomFor(HOST_PAGE) + roomFor(slotBytes) + ownBytes);
    this.kernels = instantiateKernels(this.arena.memory);
    this.#parameters = [regionIn(this.arena, block), regionIn(this.arena, block)];
    this.arrivalsOffset = regionIn(this.arena, HOST_PAGE);
    this.arrivals = new Signal(this.arena.memory, this.arrivalsOffset);
    this.#slots = regionIn(this.arena, slotBytes);
    this.interruptsOffset = this.arena.allocate(64);
    // As many packed segments as wait for the socket.
    this.#packing = new Packing(this.arena, this.kernels, MOST_UNFLUSHED);
    const slots = Array.from({ length: PLACED_PARTIALS }, (_, slot) => this.#slots + slot * train);
    this.#buffers = {
      train: new BufferPool(this.arena, train, sums, slots),
      evaluate: new BufferPool(this.arena, evaluate, EVALUATION_SUMS),
    };
  }

  /** Byte offset of a version's parameters. */
  offsetOf(version: number): number {
    return this.#parameters[(version % 2) as 0 | 1];
  }

  /** Where the parameters of a version go. */
  parametersOf(version: number): Uint8Array {
    return this.arena.bytes(this.offsetOf(version), this.parameterBytes);
  }

  /** Buffers for a sum and the terms that are added to it; undefined when fewer are free. */
  acquire(kind: WorkKind, buffers: number): number[] | undefined {
    return this.#buffers[kind].acquireTogether(buffers);
  }

  /** A buffer gets one more user, who releases it too. */
  shareBuffer(kind: WorkKind, buffer: number): void {
    this.#buffers[kind].share(buffer);
  }

  release(kind: WorkKind, ...buffers: readonly number[]): void {
    for (const buffer of buffers) this.#buffers[kind].release(buffer);
  }

  /** The parameters of a version as they are received, or as many bytes of them as are; in the other place is the one before, if it came. */
  incoming(version: number, bytes = this.parameterBytes): CheckedVector {
    const before = (): number => this.offsetOf(version + 1);
    return checkedVector(this.arena, this.kernels, this.#packing, this.offsetOf(version), bytes, before);
  }

  /** A sum as it is sent. */
  outgoing(kind: WorkKind, buffer: number): CheckedVector {
    return checkedVector(this.arena, this.kernels, this.#packing, buffer, this.#bytes[kind]);
  }

  /** Bytes of a sum. */
  sumBytes(kind: WorkKind): number {
    return this.#bytes[kind];
  }

  bytesOf(kind: WorkKind, buffer: number): Uint8Array {
    return this.arena.bytes(buffer, this.#bytes[kind]);
  }

  /** left += right; the right buffer is free afterwards. Returns the left one. */
  add(kind: WorkKind, left: number, right: number): number {
    this.kernels.add(left, left, right, this.#bytes[kind] / 4);
    this.release(kind, right);
    return left;
  }

  /**
   * Takes an offer of memory, in place of an earlier one; whether it could be taken. Where it can't, because the coordinator
   * is on another host after all, or without an offer, parameters and partials go over the socket.
   */
  share(run: RunId, offer: MemoryOffer | undefined): boolean {
    this.unshare();
    // What arrived over another connection is nothing to this one.
    this.arrivals.set(NOTHING);
    if (offer === undefined) return false;
    const block = wholePages(this.parameterBytes);
    const slotBytes = placedBytes(this.#bytes.train);
    const parameters = HostFile.open(offer.parameters, "read");
    const partials = HostFile.open(offer.partials, "write");
    const files = [parameters, partials].filter((file) => file !== undefined);
    const stride = (offer.parameters.bytes - HOST_PAGE) / 2;
    const fits = stride % HOST_PAGE === 0 && stride >= block && offer.partials.bytes === slotBytes;
    if (parameters === undefined || partials === undefined || !fits) {
      for (const file of files) file.close();
      return false;
    }
    this.#shared = { files, run, line: offer.line };
    this.#parameters.forEach((at, index) => parameters.mapOver(this.arena, at, index * stride, block, "read"));
    parameters.mapOver(this.arena, this.arrivalsOffset, 2 * stride, HOST_PAGE, "read");
    partials.mapOver(this.arena, this.#slots, 0, slotBytes, "write");
    return true;
  }

  /** Gives shared memory back. */
  unshare(): void {
    const file = this.#shared?.files[0];
    if (file === undefined) return;
    const [first] = this.#parameters;
    // The parameters, and behind them the arrivals and the slots.
    file.unmap(this.arena, first, this.#slots + placedBytes(this.#bytes.train) - first);
    for (const each of this.#shared!.files) each.close();
    this.#shared = undefined;
  }

  /** Whether parameters and sums go over the socket. */
  get isApart(): boolean {
    return this.#shared === undefined;
  }

  /** Where in shared memory the coordinator finds a sum, and whom to tell; undefined if it must be sent. */
  placeOf(kind: WorkKind, buffer: number): Place | undefined {
    const position = buffer - this.#slots;
    if (this.#shared === undefined || kind !== "train" || position >= PLACED_PARTIALS * this.#bytes.train)
      return undefined;
    return { position, run: this.#shared.run, line: this.#shared.line };
  }

  checksumOf(kind: WorkKind, buffer: number): number {
    return blockwiseChecksum(this.kernels, buffer, this.#bytes[kind]);
  }
}
