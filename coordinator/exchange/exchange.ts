/**
 * The bytes of a step: parameters on their way to workers, the next ones perhaps while the work is still open, and partials on
 * their way back. What comes of a partial is an event for the core, which has said that it is wanted.
 */
import { vectorBytes } from "../../shared/gradient/partial.ts";
import type { PartialLayouts } from "../../shared/gradient/partial.ts";
import { toNode } from "../../shared/gradient/tree.ts";
import type { WorkerId } from "../../shared/ids.ts";
import { bytesOf } from "../../shared/protocol/codec.ts";
import type { Frame } from "../../shared/protocol/codec.ts";
import type { Room } from "../../shared/protocol/frame-reader.ts";
import type { Packed, Partial, PlacedPartial, WorkName } from "../../shared/protocol/messages.ts";
import type { CoordinatorEffect, CoordinatorEvent } from "../core/events.ts";
import { isWanted } from "../core/partials.ts";
import { sendsAhead } from "../core/sending.ts";
import type { CoordinatorState } from "../core/state.ts";
import type { Reduction } from "../reduction/reduction.ts";
import type { Connection } from "../server/connection.ts";
import type { Lent } from "./outgoing.ts";
import type { ParameterStore } from "./parameters.ts";
import type { Profiler } from "./profiler.ts";
import type { SharedMemory } from "./shared-memory.ts";

/** What bulk frames to a worker are about. Those of a version that is over are not made any more. */
const PARAMETERS = "parameters";

export interface ExchangeParts {
  readonly state: CoordinatorState;
  readonly layouts: PartialLayouts;
  readonly store: ParameterStore;
  readonly reduction: Reduction;
  /** Memory to share with workers of this host; undefined where there is none, or none is wanted. */
  readonly memory: SharedMemory | undefined;
}

export class Exchange {
  readonly #parts: ExchangeParts;
  readonly #profiler: Profiler;

  constructor(parts: ExchangeParts, profiler: Profiler) {
    this.#parts = parts;
    this.#profiler = profiler;
  }

  /** Queues the current parameters, or a part of them, for a worker. */
  sendParameters(
    connection: Connection,
    { part, rest, holdsLast }: Extract<CoordinatorEffect, { type: "send-parameters" }>,
  ): void {
    const packed = !connection.isLocal ? packedFor(holdsLast) : undefined;
    this.#send(connection, this.#parts.store.lend(part, packed, rest));
  }

  /** Queues what is known already of the next parameters for a worker of another host. */
  sendAhead(
    connection: Connection,
    { from, until, holdsLast }: Extract<CoordinatorEffect, { type: "send-ahead" }>,
  ): void {
    this.#send(connection, this.#parts.store.lendAhead(packedFor(holdsLast), from, until));
  }

  #send({ outbox }: Connection, { frames, over }: Lent): void {
    outbox.sendBulk(this.#counted(frames), PARAMETERS, over);
  }

  *#counted(frames: Iterable<Frame>): Generator<Frame> {
    for (const frame of frames) {
      this.#profiler.sent(bytesOf(frame));
      yield frame;
    }
  }

  /** Takes a segment of a partial, or a whole one in shared memory. Undefined: nothing is to be decided yet. */
  receive(worker: WorkerId, partial: Partial | PlacedPartial, section: Uint8Array): CoordinatorEvent | undefined {
    const { reduction } = this.#parts;
    const taken =
      partial.type === "partial"
        ? reduction.take(worker, partial, section)
        : reduction.takePlaced(worker, partial, this.#placeOf(worker, partial));
    if (taken === "partial") return this.#advance(partial.work);
    const { work, computeMicroseconds } = partial;
    this.#profiler.computed(worker, computeMicroseconds);
    const node = toNode(partial.node);
    if (taken === "corrupt") return { type: "corrupt", worker, work, node };
    const finite = reduction.isFinite(worker, node);
    return { type: "assembled", worker, work, node, finite, computeMicroseconds };
  }

  /** Where a segment of a partial that is wanted may be put as it comes. @param length bytes that come */
  roomFor(worker: WorkerId, partial: Partial, length: number, cut: () => void): Room | undefined {
    const { state, reduction } = this.#parts;
    return isWanted(state, worker, partial) ? reduction.roomFor(worker, partial, length, cut) : undefined;
  }

  #placeOf(worker: WorkerId, { position }: PlacedPartial): number | undefined {
    const { memory, layouts } = this.#parts;
    const place = memory?.placeOf(worker, position);
    if (place !== undefined) this.#profiler.shared(vectorBytes(layouts.partial.train));
    return place;
  }

  /** Takes the open step as far as its sum is known, though partials are still arriving. */
  #advance(work: WorkName): CoordinatorEvent | undefined {
    const { layouts, reduction, state, store } = this.#parts;
    if (!store.takesParts || !sendsAhead(state)) return undefined;
    const { samples } = state.work!;
    const from = this.#profiler.reduce(() => reduction.useTail((tail) => store.advance(tail, samples, work.step)));
    // Behind what is trained are metrics alone.
    if (from === undefined || from >= layouts.parameters.trained) return undefined;
    return { type: "advanced", work, from: 4 * from };
  }
}

/** How parameters are packed for a worker. */
const packedFor = (holdsLast: boolean): Packed => (holdsLast ? "differences" : "words");
