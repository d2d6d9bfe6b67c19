/**
 * The run's parameters and optimiser state, in two blocks of shared memory: a step reads one and writes the other, so
 * the parameters of a step stay whole until the next ones are. Where the optimizer allows it, the next ones are computed from their
 * end on while the beginning of the sum is still arriving; they are provisional until the step is taken.
 */
import type { Snapshot } from "../../shared/checkpoint/snapshot.ts";
import { LockstepError } from "../../shared/errors.ts";
import { signalOf } from "../../shared/gradient/arrivals.ts";
import { vectorBytes } from "../../shared/gradient/partial.ts";
import { stepNumber } from "../../shared/ids.ts";
import type { Kernels } from "../../shared/kernels/index.ts";
import type { Arena } from "../../shared/memory/arena.ts";
import { HostFile, regionIn, roomFor, wholePages } from "../../shared/memory/host-memory.ts";
import type { Layout } from "../../shared/memory/layout.ts";
import { Packing, packingBytes } from "../../shared/memory/packing.ts";
import { Signal } from "../../shared/memory/signal.ts";
import { HOST_PAGE } from "../../shared/system.ts";
import { checkedVector } from "../../shared/memory/vector.ts";
import type { CheckedVector } from "../../shared/memory/vector.ts";
import { optimizerOf } from "../../shared/optim/optimizer.ts";
import type { Optimizer } from "../../shared/optim/optimizer.ts";
import type { OptimizerStep } from "../../shared/optim/update.ts";
import { extentsBackFrom, extentsUntil } from "../../shared/protocol/codec.ts";
import type { Packed } from "../../shared/protocol/messages.ts";
import type { Rest } from "../core/events.ts";
import type { Crew, OptimizerParts } from "../crew/crew.ts";
import type { Outcome } from "../crew/job.ts";
import type { Tail, Total } from "../reduction/reduction.ts";
import { Outgoing } from "./outgoing.ts";
import type { Lent } from "./outgoing.ts";

/** Bytes of one of the two blocks: whole pages, so that it can be shared with workers of this host. */
const blockBytes = (layout: Layout, optimizer: Optimizer): number =>
  wholePages((1 + optimizer.stateNames.length) * vectorBytes(layout));

/** Bytes of an arena that they need. */
export const parameterBytes = (layout: Layout, { spec, surroundings }: OptimizerParts): number =>
  packingBytes() + roomFor(HOST_PAGE) + 2 * roomFor(blockBytes(layout, optimizerOf(spec, surroundings)));

export class ParameterStore {
  readonly layout: Layout;
  readonly #arena: Arena;
  readonly #kernels: Kernels;
  readonly #crew: Crew;
  readonly #optimizer: Optimizer;
  readonly #rateAfter: (steps: number) => number;
  /** Version v of the parameters is in block v mod 2, which workers that share them rely on. */
  readonly #blocks: readonly [number, number];
  readonly #blockBytes: number;
  /** On a page behind the blocks, says to those who share them which version is there. */
  readonly #arrivalsPage: number;
  readonly #arrivals: Signal;
  #version = 0;
  /** Whether the version before is still in the other block. */
  #lastIsThere = false;
  readonly #packing: Packing;
  readonly #outgoing = new Outgoing();
  /** Which of the blocks hold what is frozen, and its average: they keep it. */
  readonly #holdsFrozen = [false, false];

  /** @param rateAfter the learning rate of the step that follows this many steps */
  constructor(arena: Arena, kernels: Kernels, layout: Layout, crew: Crew, rateAfter: (steps: number) => number) {
    this.layout = layout;
    this.#arena = arena;
    this.#kernels = kernels;
    this.#crew = crew;
    this.#optimizer = crew.optimizer;
    this.#rateAfter = rateAfter;
    this.#blockBytes = blockBytes(layout, this.#optimizer);
    this.#blocks = [regionIn(arena, this.#blockBytes), regionIn(arena, this.#blockBytes)];
    this.#arrivalsPage = regionIn(arena, HOST_PAGE);
    this.#arrivals = new Signal(arena.memory, this.#arrivalsPage);
    this.#packing = new Packing(arena, kernels);
  }

  /** Lays the blocks into a file that workers of this host can read, before they hold anything; undefined if there is none. */
  share(): HostFile | undefined {
    const file = HostFile.create(2 * this.#blockBytes + HOST_PAGE);
    this.#blocks.forEach((block, index) =>
      file?.mapOver(this.#arena, block, index * this.#blockBytes, this.#blockBytes, "write"),
    );
    file?.mapOver(this.#arena, this.#arrivalsPage, 2 * this.#blockBytes, HOST_PAGE, "write");
    return file;
  }

  /** Tells those who share the memory that the current parameters are there. Updates do so by themselves. */
  publish(): void {
    this.#arrivals.set(signalOf(this.#version));
  }

  /** Whether a step can be taken part by part, while the sum is still being added up. */
  get takesParts(): boolean {
    return this.#optimizer.isElementwise;
  }

  get #current(): number {
    return this.#blocks[(this.#version % 2) as 0 | 1];
  }

  get #next(): number {
    return this.#blocks[((this.#version + 1) % 2) as 0 | 1];
  }

  /** The current parameters, in layout order with padding; a view that is valid until the next update. */
  get vector(): Float32Array {
    return this.#arena.floats(this.#current, this.layout.size);
  }

  /** Their bytes; a view as above. */
  get bytes(): Uint8Array {
    return this.#arena.bytes(this.#current, vectorBytes(this.layout));
  }

  /** The current optimiser state; views as above. */
  get state(): { name: string; vector: Float32Array }[] {
    return this.#optimizer.stateNames.map((name, index) => ({ name, vector: this.#stateVector(index) }));
  }

  /** Continues from a snapshot. Throws RUN_MISMATCH if it holds another optimiser's state. */
  restore(snapshot: Snapshot): void {
    const held = snapshot.state.map(({ name }) => name).join(", ");
    const wanted = this.#optimizer.stateNames.join(", ");
    if (held !== wanted) {
      const sentence = `the checkpoint holds the optimizer state [${held}], the config's optimizer keeps [${wanted}]`;
      throw new LockstepError("RUN_MISMATCH", sentence, "resume with the optimizer the run was started with");
    }
    this.#version = snapshot.step;
    this.#lastIsThere = false;
    this.#outgoing.expire(Number.POSITIVE_INFINITY);
    this.#holdsFrozen.fill(false);
    this.vector.set(snapshot.parameters);
    snapshot.state.forEach(({ vector }, index) => this.#stateVector(index).set(vector));
  }

  /**
   * Takes a step with the gradient summed over `samples` samples, which is used up. If it or the next parameters are not finite,
   * or a part of the sum is damaged, the step is not taken.
   * @param steps steps taken before this one
   */
  update(total: Total, samples: number, steps: number): Outcome {
    const step = this.#stepWith(total.root, samples, steps);
    this.#lastIsThere = false;
    const outcome = this.takesParts
      ? this.#takeInParts(step, total)
      : { isFinite: this.#optimizer.update(this.#kernels, step), damaged: [] };
    if (total.usedFrom === undefined) this.#outgoing.retract(steps + 1);
    if (!outcome.isFinite || outcome.damaged.length > 0) return outcome;
    this.#version = steps + 1;
    this.#lastIsThere = true;
    this.publish();
    this.#outgoing.expire(this.#version);
    return outcome;
  }

  /**
   * Takes that step as far as the end of a sum allows, if parts can be taken. Whether all is finite there; the sum is not written.
   */
  advance({ root, additions, from, until }: Tail, samples: number, steps: number): boolean {
    const step = this.#stepWith(root, samples, steps);
    this.#lastIsThere = false;
    return this.#crew.run({ additions, first: from, count: Math.min(until, this.layout.trained), step }).isFinite;
  }

  #stepWith(gradient: number, samples: number, steps: number): OptimizerStep {
    return {
      from: this.#current,
      to: this.#next,
      gradient,
      count: this.layout.size,
      samples,
      stepNumber: steps + 1,
      learningRate: this.#rateAfter(steps),
    };
  }

  #takeInParts(step: OptimizerStep, { additions, checks, usedFrom = Number.POSITIVE_INFINITY }: Total): Outcome {
    this.#keepFrozen(step);
    return this.#crew.run({ additions, checks, count: Math.min(usedFrom, this.layout.trained), step });
  }

  /** Behind the rest, it has no gradient to be added. */
  #keepFrozen(step: OptimizerStep): void {
    const { size, trained } = this.layout;
    const target = (this.#version + 1) % 2;
    if (this.#holdsFrozen[target]) return;
    const frozen = { start: trained, count: size - trained, gradient: step.gradient, scratch: step.gradient };
    this.#optimizer.updatePart(this.#kernels, step, frozen);
    this.#holdsFrozen[target] = true;
  }

  /**
   * The current parameters, or those that are trained, as frames for one worker: encoded once for all workers, and not any more once
   * the next version is there.
   * @param packed what of them is packed, if anything; differences only to who has the version before
   * @param rest what it has not been sent ahead: all, or what is in front of a byte offset, or all again, from the last on, since
   * what it was sent is not right
   */
  lend(part: "whole" | "trained", packed: Packed | undefined, rest: Rest): Lent {
    const bytes = part === "whole" ? vectorBytes(this.layout) : this.#trainedBytes;
    const packs = packed !== undefined;
    // What is not packed is not sent ahead.
    const until = packs && typeof rest === "number" ? rest : bytes;
    const extents = rest === "again" ? extentsBackFrom(bytes, packs) : extentsUntil(until, packs);
    return this.#outgoing.lend(stepNumber(this.#version), this.#toSend(this.#version, bytes, packed), packed, extents);
  }

  /** Of the next parameters, which are provisional, those between two byte offsets that segments begin at; from the last on. */
  lendAhead(packed: Packed, from: number, until = this.#trainedBytes): Lent {
    const version = stepNumber(this.#version + 1);
    const vector = this.#toSend(version, this.#trainedBytes, packed);
    return this.#outgoing.lend(version, vector, packed, extentsBackFrom(until, true, from));
  }

  #toSend(version: number, bytes: number, packed: Packed | undefined): CheckedVector {
    const [block, other] = version % 2 === 0 ? this.#blocks : this.#blocks.toReversed();
    // The version before stays where it is until the one behind this is begun.
    const isThere = (): boolean => version > this.#version || this.#lastIsThere;
    const before = (): number | undefined => (packed === "differences" && isThere() ? other : undefined);
    return checkedVector(this.#arena, this.#kernels, this.#packing, block, bytes, before);
  }

  get #trainedBytes(): number {
    return 4 * this.layout.trained;
  }

  #stateVector(index: number): Float32Array {
    return this.#arena.floats(this.#current + (1 + index) * vectorBytes(this.layout), this.layout.size);
  }
}
