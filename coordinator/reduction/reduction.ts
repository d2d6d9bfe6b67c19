/**
 * The partials of the open work on their way to one sum: segments are put together, whole partials stay where a worker of
 * this host has left them, and are added along the canonical tree as soon as their sibling is there. The last additions wait
 * for the step, so that it finds each block of the sum in the cache. In a work that trusts, only the step sees whether values are
 * finite, and what was left whole is not looked at before it is added, so that all is one pass over memory; and the end of the sum
 * can be used while the partials' beginnings are still arriving. The core says which bytes are wanted.
 */
import { TreeReducer } from "../../shared/gradient/reducer.ts";
import { toNode } from "../../shared/gradient/tree.ts";
import type { TreeNode } from "../../shared/gradient/tree.ts";
import { vectorBytes } from "../../shared/gradient/partial.ts";
import type { PartialLayouts } from "../../shared/gradient/partial.ts";
import type { WorkerId } from "../../shared/ids.ts";
import type { Kernels } from "../../shared/kernels/index.ts";
import type { Arena } from "../../shared/memory/arena.ts";
import { inspect } from "../../shared/memory/blocks.ts";
import { BufferPool } from "../../shared/memory/buffers.ts";
import { Packing, packingBytes } from "../../shared/memory/packing.ts";
import { checkedVector } from "../../shared/memory/vector.ts";
import { Assembly } from "../../shared/protocol/assembly.ts";
import type { Room } from "../../shared/protocol/frame-reader.ts";
import type { Partial, PlacedPartial, WorkKind } from "../../shared/protocol/messages.ts";
import { mostCopies } from "../core/assigning.ts";
import type { Work } from "../core/state.ts";
import type { Crew } from "../crew/crew.ts";
import type { Addition, Checks } from "../crew/job.ts";
import { Claims } from "./claims.ts";
import { backOf, InboundPartials } from "./inbound.ts";
import type { Segmented } from "./inbound.ts";
import { addedUp, sparesFor } from "./preview.ts";
import { UsedTail } from "./tail.ts";

/** Bytes of an arena that a reduction needs. */
export const reductionBytes = (layouts: PartialLayouts, shards: Readonly<Record<WorkKind, number>>): number =>
  packingBytes() +
  mostCopies(shards.train) * vectorBytes(layouts.partial.train) +
  mostCopies(shards.evaluate) * vectorBytes(layouts.partial.evaluate);

/** The sum over all shards: what is at `root` once the additions are done, if what is to be checked is as it should be. */
export interface Total {
  readonly root: number;
  readonly additions: readonly Addition[];
  readonly checks?: Checks;
  /** The float from which on the sum was used before, and has not changed; undefined: none of it. */
  readonly usedFrom?: number | undefined;
}

/** A part of a sum over all shards, known before the rest: what is at `root` between these floats, once the additions are done. */
export interface Tail extends Pick<Total, "root" | "additions"> {
  readonly from: number;
  readonly until: number;
}

export class Reduction {
  readonly #arena: Arena;
  readonly #kernels: Kernels;
  readonly #crew: Crew;
  readonly #packing: Packing;
  readonly #bytes: Readonly<Record<WorkKind, number>>;
  readonly #pools: Readonly<Record<WorkKind, BufferPool>>;
  #kind: WorkKind = "train";
  #work: Work | undefined;
  #reducer: TreeReducer | undefined;
  readonly #inbound: InboundPartials;
  readonly #claims: Claims;
  readonly #tail = new UsedTail();
  /** Buffers of ours that are in use. */
  #held = new Set<number>();
  /** Buffers that connections write to by themselves (see roomFor). */
  readonly #loans = new Set<{ readonly pool: BufferPool; readonly place: number; readonly cut: () => void }>();
  /** Additions that are not done yet; a buffer that one of them reads stays in use. */
  #additions: Addition[] = [];
  #root: number | undefined;
  #trusting = false;

  constructor(
    arena: Arena,
    kernels: Kernels,
    crew: Crew,
    layouts: PartialLayouts,
    shards: Readonly<Record<WorkKind, number>>,
  ) {
    this.#arena = arena;
    this.#kernels = kernels;
    this.#crew = crew;
    this.#packing = new Packing(arena, kernels);
    this.#inbound = new InboundPartials(arena);
    this.#claims = new Claims(kernels);
    this.#bytes = { train: vectorBytes(layouts.partial.train), evaluate: vectorBytes(layouts.partial.evaluate) };
    this.#pools = {
      train: new BufferPool(arena, this.#bytes.train, mostCopies(shards.train)),
      evaluate: new BufferPool(arena, this.#bytes.evaluate, mostCopies(shards.evaluate)),
    };
  }

  /** Begins a new work; whatever is left of the last one is forgotten. */
  open(work: Work): void {
    for (const buffer of this.#held) this.#pools[this.#kind].release(buffer);
    this.#held.clear();
    this.#additions = [];
    this.#root = undefined;
    this.#work = work;
    this.#trusting = work.trusting;
    this.#kind = work.name.kind;
    this.#inbound.begin(this.#bytes[this.#kind]);
    this.#claims.begin(this.#bytes[this.#kind]);
    this.#tail.begin(work.trusting);
    this.#reducer = new TreeReducer(work.shards, [{ start: 0, end: work.shards }], (left, right) => {
      // Workers' memory is not written.
      const into = [left, right].find((each) => this.#held.has(each)) ?? this.#acquire();
      this.#additions.push({ into, left, right });
      return into;
    });
  }

  /**
   * Where a segment of a partial of the open work, which is about to come, may be put before it is taken. Until that is over nothing
   * else is put there, whatever becomes of the work.
   * @param cut ends the connection that writes there
   */
  roomFor(worker: WorkerId, { node, segment }: Partial, length: number, cut: () => void): Room | undefined {
    const { place, assembly } = this.#arriving(worker, toNode(node));
    const room = assembly.roomFor(segment, length);
    if (room === undefined) return undefined;
    const pool = this.#pools[this.#kind];
    const loan = { pool, place, cut };
    pool.share(place);
    this.#loans.add(loan);
    return { ...room, over: () => void (this.#loans.delete(loan) && pool.release(place)) };
  }

  /** Takes a segment of a partial of the open work. */
  take(worker: WorkerId, partial: Partial, section: Uint8Array): "corrupt" | "partial" | "complete" {
    const inbound = this.#arriving(worker, toNode(partial.node));
    const taken = inbound.assembly.take(partial.segment, section);
    if (taken === "complete") {
      inbound.isComplete = true;
      // In a work that trusts, the sum's and the step's values are looked at.
      inbound.isFinite = this.#trusting || this.#kernels.allFinite(inbound.place, this.#bytes[this.#kind] / 4);
    }
    return taken;
  }

  /** A partial that comes in segments. */
  #arriving(worker: WorkerId, node: TreeNode): Segmented {
    const known = this.#inbound.get(worker, node);
    if (known?.assembly !== undefined) return known as Segmented;
    // In place of one that was announced whole and damaged, if there was one.
    this.drop(worker, node);
    const place = this.#acquire();
    const target = checkedVector(this.#arena, this.#kernels, this.#packing, place, this.#bytes[this.#kind]);
    const inbound = { worker, node, place, assembly: new Assembly(target), isComplete: false, isFinite: false };
    this.#inbound.add(inbound);
    return inbound;
  }

  /**
   * Lets the end of the sum be used, if more of it is known than was used before. If the use fails, or a partial in it is dropped
   * later, nothing of it is kept: it is to be used anew with the whole.
   * @param use whether it could be used; the additions may be done, and are not to be kept
   * @returns the float from which on the sum has been used
   */
  useTail(use: (tail: Tail) => boolean): number | undefined {
    if (!this.#tail.mayGrow) return undefined;
    const arriving = this.#inbound.furthest;
    if (arriving.length < this.#work!.left) return undefined;
    const from = Math.max(...arriving.map(backOf)) / 4;
    const until = this.#tail.from ?? this.#bytes.train / 4;
    if (from >= until) return undefined;
    const parts = [...this.#reducer!.waiting, ...arriving.map(({ node, place }) => ({ node, buffer: place }))];
    const { shards } = this.#work!;
    const spares = this.#pools.train.acquireTogether(sparesFor(parts.length, shards));
    // More copies are here than usual: it can wait.
    if (spares === undefined) return undefined;
    for (const spare of spares) this.#pools.train.release(spare);
    const isUsed =
      parts.every(({ buffer }) => this.#claims.isSound(buffer)) &&
      use({ ...addedUp(shards, parts, spares), from, until });
    // Whose it is if something is damaged, or not finite, will be known when the whole is added.
    if (!isUsed) {
      this.#tail.giveUp();
      return undefined;
    }
    this.#tail.grow(from, arriving);
    return from;
  }

  /** Takes a whole partial of the open work that a worker has left at a byte offset; undefined: it is not where it was to be. */
  takePlaced(worker: WorkerId, partial: PlacedPartial, place: number | undefined): "corrupt" | "complete" {
    const { checksum } = partial;
    const node = toNode(partial.node);
    this.drop(worker, node);
    if (place === undefined) return "corrupt";
    let isFinite = true;
    if (this.#trusting) this.#claims.add({ place, checksum, worker });
    else {
      const found = inspect(this.#kernels, place, this.#bytes[this.#kind]);
      if (found.checksum !== checksum) return "corrupt";
      ({ isFinite } = found);
    }
    this.#inbound.add({ worker, node, place, assembly: undefined, isComplete: true, isFinite });
    return "complete";
  }

  /** What came of the checks of a total. */
  settle(checks: Checks, damaged: readonly number[]): void {
    this.#claims.settle(checks, damaged);
  }

  /** Who has left partials that were found to be damaged when they were added. */
  get culprits(): readonly WorkerId[] {
    return this.#claims.culprits;
  }

  #acquire(): number {
    const buffer = this.#pools[this.#kind].acquire() ?? this.#takeBack();
    if (buffer === undefined) throw new Error("more partials are arriving than were assigned");
    this.#held.add(buffer);
    return buffer;
  }

  /** There are buffers for all that is wanted: what is missing, connections write to for works that are over. One of them is cut. */
  #takeBack(): number | undefined {
    const pool = this.#pools[this.#kind];
    const loan = [...this.#loans].find((each) => each.pool === pool && !this.#held.has(each.place));
    if (loan === undefined) return undefined;
    loan.cut();
    // It may have been over with that.
    if (this.#loans.delete(loan)) pool.release(loan.place);
    return pool.acquire();
  }

  /** Adds a whole partial to the sum. */
  fold(worker: WorkerId, node: TreeNode): void {
    const inbound = this.#inbound.remove(worker, node)!;
    this.#root = this.#reducer!.add(node, inbound.place)?.buffer;
    if (this.#root === undefined) this.#add();
  }

  /** Does the additions that wait, and frees what was added. */
  #add(): void {
    const additions = this.#additions;
    if (additions.length === 0) return;
    this.#additions = [];
    this.#run(additions, this.#claims.checksOf(additions.flatMap(({ left, right }) => [left, right])));
    for (const { into, left, right } of additions)
      for (const each of [left, right]) if (each !== into) this.#release(each);
  }

  #run(additions: readonly Addition[], checks: Checks): void {
    const { damaged } = this.#crew.run({ additions, count: this.#bytes[this.#kind] / 4, checks });
    this.#claims.settle(checks, damaged);
  }

  /** Frees a partial that is not used; nothing happens if none of its bytes were taken. */
  drop(worker: WorkerId, node: TreeNode): void {
    const inbound = this.#inbound.remove(worker, node);
    if (inbound === undefined) return;
    if (this.#tail.holds(inbound)) this.#tail.giveUp();
    this.#release(inbound.place);
  }

  /** Whether every value of an assembled partial is a finite number. */
  isFinite(worker: WorkerId, node: TreeNode): boolean {
    return this.#inbound.get(worker, node)!.isFinite;
  }

  /** Groups workers by the bits of their assembled partials over a node; finite sums first, else in the order given. */
  compare(node: TreeNode, workers: readonly WorkerId[]): WorkerId[][] {
    return this.#inbound.compare(node, workers);
  }

  /** The workers whose assembled partials over a node of the open work have these bits. */
  equalTo(node: TreeNode, bytes: Uint8Array): WorkerId[] {
    return this.#inbound.equalTo(node, bytes);
  }

  /**
   * The sum over all shards of the open work. Its floats from `from` on are there; the others wait for the step, and `settle`
   * wants to hear what came of the checks. From 0 on, it lies in a buffer of ours, whose user may overwrite it.
   */
  totalFrom(from: number): Total {
    const root = this.#root;
    if (root === undefined) throw new Error("the sum is not complete");
    if (from === 0) return this.#wholeTotal(root);
    const additions = this.#additions;
    const checks = this.#claims.checksOf([root, ...additions.flatMap(({ left, right }) => [left, right])]);
    const count = checks.length - from;
    // What lies in a buffer of ours is overwritten here before it is checked there: only workers' memory is checked.
    for (const { into, left, right } of additions)
      this.#kernels.add(into + 4 * from, left + 4 * from, right + 4 * from, count);
    return { root, additions, checks, usedFrom: this.#tail.from };
  }

  #wholeTotal(root: number): Total {
    this.#add();
    if (this.#held.has(root)) return { root, additions: [] };
    const checks = this.#claims.checksOf([root]);
    if (checks.vectors.length > 0) this.#run([], checks);
    const bytes = this.#bytes[this.#kind];
    const own = this.#acquire();
    this.#arena.bytes(own, bytes).set(this.#arena.bytes(root, bytes));
    this.#root = own;
    return { root: own, additions: [] };
  }

  /** Frees a buffer; what lies in a worker's memory is the worker's to free. */
  #release(place: number): void {
    if (this.#held.delete(place)) this.#pools[this.#kind].release(place);
  }
}
