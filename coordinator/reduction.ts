/**
 * The partials of the open work on their way to one sum: segments are put together, whole partials stay where a worker of
 * this host has left them, and are added along the canonical tree as soon as their sibling is there. The last additions wait
 * for the step, so that it finds each block of the sum in the cache. In a work that trusts, only the step sees whether values are
 * finite, and what was left whole is not looked at before it is added, so that all is one pass over memory; and the end of the sum
 * can be used while the partials' beginnings are still arriving. The core says which bytes are wanted.
 */
import { TreeReducer } from "../shared/gradient/reducer.ts";
import { nodeKey } from "../shared/gradient/tree.ts";
import type { TreeNode } from "../shared/gradient/tree.ts";
import { vectorBytes } from "../shared/gradient/partial.ts";
import type { PartialLayouts } from "../shared/gradient/partial.ts";
import type { WorkerId } from "../shared/ids.ts";
import type { Kernels } from "../shared/kernels/index.ts";
import type { Arena } from "../shared/memory/arena.ts";
import { inspect } from "../shared/memory/blocks.ts";
import { BufferPool } from "../shared/memory/buffers.ts";
import { Packing, packingBytes } from "../shared/memory/packing.ts";
import { checkedVector } from "../shared/memory/vector.ts";
import { Assembly } from "../shared/protocol/assembly.ts";
import type { Partial, PlacedPartial, WorkKind } from "../shared/protocol/messages.ts";
import { mostCopies } from "./core/assigning.ts";
import type { Work } from "./core/state.ts";
import type { Crew } from "./crew/crew.ts";
import type { Addition, Check, Checks } from "./crew/job.ts";
import { addedUp, sparesFor } from "./preview.ts";

interface Inbound {
  readonly worker: WorkerId;
  readonly node: TreeNode;
  /** Byte offset of its bytes: of a buffer of ours, or in a worker's memory, which is only read. */
  readonly place: number;
  /** Undefined for one that comes whole. */
  readonly assembly: Assembly | undefined;
  isComplete: boolean;
  /** Whether every value of a complete one is a finite number; in a work that trusts it is said to be. */
  isFinite: boolean;
}

/** Bytes of an arena that a reduction needs. */
export const reductionBytes = (layouts: PartialLayouts, shards: Readonly<Record<WorkKind, number>>): number =>
  packingBytes() +
  mostCopies(shards.train) * vectorBytes(layouts.partial.train) +
  mostCopies(shards.evaluate) * vectorBytes(layouts.partial.evaluate);

/** What the checksum of a partial is said to be, and by whom. */
interface Claim extends Check {
  readonly worker: WorkerId;
}

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
  #inbound = new Map<string, Inbound>();
  /** Buffers of ours that are in use. */
  #held = new Set<number>();
  /** Additions that are not done yet; a buffer that one of them reads stays in use. */
  #additions: Addition[] = [];
  #root: number | undefined;
  #trusting = false;
  /** Whether the end of the sum may be used before the rest is known. */
  #mayUseTail = false;
  /** The float from which on it was. */
  #usedFrom: number | undefined;
  /** Partials that were part of it: if one of them is dropped instead of folded, it is another sum. */
  readonly #usedParts = new Set<Inbound>();
  /** Places that were looked at for its sake; they are once more when they are added. */
  readonly #sound = new Set<number>();
  /** Of partials in workers' memory that nobody has looked at, by their place. */
  #claims = new Map<number, Claim>();
  #culprits: WorkerId[] = [];

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
    this.#inbound.clear();
    this.#additions = [];
    this.#root = undefined;
    this.#work = work;
    this.#trusting = work.trusting;
    this.#useNoTail();
    this.#mayUseTail = work.trusting;
    this.#claims.clear();
    this.#culprits = [];
    this.#kind = work.name.kind;
    this.#reducer = new TreeReducer(work.shards, [{ start: 0, end: work.shards }], (left, right) => {
      // Workers' memory is not written.
      const into = [left, right].find((each) => this.#held.has(each)) ?? this.#acquire();
      this.#additions.push({ into, left, right });
      return into;
    });
  }

  /** Takes a segment of a partial of the open work. */
  take(worker: WorkerId, partial: Partial, section: Uint8Array): "corrupt" | "partial" | "complete" {
    const node = toNode(partial.node);
    let inbound = this.#inbound.get(keyOf(worker, node));
    if (inbound?.assembly === undefined) {
      // In place of one that was announced whole and damaged, if there was one.
      this.drop(worker, node);
      const buffer = this.#acquire();
      const bytes = this.#bytes[this.#kind];
      const target = checkedVector(this.#arena, this.#kernels, this.#packing, buffer, bytes);
      inbound = { worker, node, place: buffer, assembly: new Assembly(target), isComplete: false, isFinite: false };
      this.#inbound.set(keyOf(worker, node), inbound);
    }
    const taken = inbound.assembly!.take(partial.segment, section);
    if (taken === "complete") {
      inbound.isComplete = true;
      // In a work that trusts, the sum's and the step's values are looked at.
      inbound.isFinite = this.#trusting || this.#kernels.allFinite(inbound.place, this.#bytes[this.#kind] / 4);
    }
    return taken;
  }

  /**
   * Lets the end of the sum be used, if more of it is known than was used before. If the use fails, or a partial in it is dropped
   * later, nothing of it is kept: it is to be used anew with the whole.
   * @param use whether it could be used; the additions may be done, and are not to be kept
   * @returns the float from which on the sum has been used
   */
  useTail(use: (tail: Tail) => boolean): number | undefined {
    if (!this.#mayUseTail) return undefined;
    const arriving = this.#furthest();
    if (arriving.length < this.#work!.left) return undefined;
    const from = Math.max(...arriving.map(backOf)) / 4;
    const until = this.#usedFrom ?? this.#bytes.train / 4;
    if (from >= until) return undefined;
    const parts = [...this.#reducer!.waiting, ...arriving.map(({ node, place }) => ({ node, buffer: place }))];
    const { shards } = this.#work!;
    const spares = this.#pools.train.acquireTogether(sparesFor(parts.length, shards));
    // More copies are here than usual: it can wait.
    if (spares === undefined) return undefined;
    for (const spare of spares) this.#pools.train.release(spare);
    const isUsed =
      parts.every(({ buffer }) => this.#isSound(buffer)) && use({ ...addedUp(shards, parts, spares), from, until });
    // Whose it is if something is damaged, or not finite, will be known when the whole is added.
    if (!isUsed) {
      this.#useNoTail();
      return undefined;
    }
    this.#usedFrom = from;
    for (const inbound of arriving) this.#usedParts.add(inbound);
    return from;
  }

  /** Whether what is at a place has the checksum that it should have, if it was left there whole and nobody has looked at it. */
  #isSound(place: number): boolean {
    const claim = this.#claims.get(place);
    if (claim === undefined || this.#sound.has(place)) return true;
    if (inspect(this.#kernels, place, this.#bytes.train).checksum !== claim.checksum) return false;
    this.#sound.add(place);
    return true;
  }

  /** What was used of the sum is not kept, and nothing more of it is used before it is whole. */
  #useNoTail(): void {
    this.#mayUseTail = false;
    this.#usedFrom = undefined;
    this.#usedParts.clear();
    this.#sound.clear();
  }

  /** Of each node whose partial is on its way, or here and not folded yet, the one of which most is here. */
  #furthest(): Inbound[] {
    const furthest = new Map<string, Inbound>();
    for (const inbound of this.#inbound.values()) {
      const key = nodeKey(inbound.node);
      const other = furthest.get(key);
      if (other === undefined || backOf(inbound) < backOf(other)) furthest.set(key, inbound);
    }
    return [...furthest.values()];
  }

  /** Takes a whole partial of the open work that a worker has left at a byte offset; undefined: it is not where it was to be. */
  takePlaced(
    worker: WorkerId,
    { node: [start, end], checksum }: PlacedPartial,
    place: number | undefined,
  ): "corrupt" | "complete" {
    const node = { start, end };
    this.drop(worker, node);
    if (place === undefined) return "corrupt";
    let isFinite = true;
    if (this.#trusting) {
      // Of two partials in one place the first is not used, or it would still be there.
      this.#claims.set(place, { place, checksum, worker });
    } else {
      const found = inspect(this.#kernels, place, this.#bytes[this.#kind]);
      if (found.checksum !== checksum) return "corrupt";
      ({ isFinite } = found);
    }
    this.#inbound.set(keyOf(worker, node), { worker, node, place, assembly: undefined, isComplete: true, isFinite });
    return "complete";
  }

  /** What is not looked at yet of these places. */
  #checksOf(places: readonly number[]): Checks {
    const vectors = [...new Set(places)].flatMap((place) => this.#claims.get(place) ?? []);
    return { vectors, length: this.#bytes[this.#kind] / 4 };
  }

  /** These places were checked, and some of them found to be damaged. */
  settle({ vectors }: Checks, damaged: readonly number[]): void {
    for (const place of damaged) this.#culprits.push(this.#claims.get(place)!.worker);
    for (const { place } of vectors) this.#claims.delete(place);
  }

  /** Who has left partials that were found to be damaged when they were added. */
  get culprits(): readonly WorkerId[] {
    return this.#culprits;
  }

  #acquire(): number {
    const buffer = this.#pools[this.#kind].acquire();
    if (buffer === undefined) throw new Error("more partials are arriving than were assigned");
    this.#held.add(buffer);
    return buffer;
  }

  /** Adds a whole partial to the sum. */
  fold(worker: WorkerId, node: TreeNode): void {
    const inbound = this.#remove(worker, node)!;
    this.#root = this.#reducer!.add(node, inbound.place)?.buffer;
    if (this.#root === undefined) this.#add();
  }

  /** Does the additions that wait, and frees what was added. */
  #add(): void {
    const additions = this.#additions;
    if (additions.length === 0) return;
    this.#additions = [];
    this.#run(additions, this.#checksOf(additions.flatMap(({ left, right }) => [left, right])));
    for (const { into, left, right } of additions)
      for (const each of [left, right]) if (each !== into) this.#release(each);
  }

  #run(additions: readonly Addition[], checks: Checks): void {
    const { damaged } = this.#crew.run({ additions, count: this.#bytes[this.#kind] / 4, checks });
    this.settle(checks, damaged);
  }

  /** Frees a partial that is not used; nothing happens if none of its bytes were taken. */
  drop(worker: WorkerId, node: TreeNode): void {
    const inbound = this.#remove(worker, node);
    if (inbound === undefined) return;
    if (this.#usedParts.has(inbound)) this.#useNoTail();
    this.#release(inbound.place);
  }

  /** Whether every value of an assembled partial is a finite number. */
  isFinite(worker: WorkerId, node: TreeNode): boolean {
    return this.#inbound.get(keyOf(worker, node))!.isFinite;
  }

  /** Groups workers by the bits of their assembled partials over a node; finite sums first, else in the order given. */
  compare(node: TreeNode, workers: readonly WorkerId[]): WorkerId[][] {
    const groups: { readonly bytes: Uint8Array; readonly workers: WorkerId[] }[] = [];
    const isFinite = (worker: WorkerId): number => (this.isFinite(worker, node) ? 0 : 1);
    for (const worker of workers.toSorted((left, right) => isFinite(left) - isFinite(right))) {
      const bytes = this.#bytesOf(worker, node);
      const group = groups.find((each) => Buffer.compare(each.bytes, bytes) === 0);
      if (group === undefined) groups.push({ bytes, workers: [worker] });
      else group.workers.push(worker);
    }
    return groups.map((group) => group.workers);
  }

  /** The workers whose assembled partials over a node of the open work have these bits. */
  equalTo(node: TreeNode, bytes: Uint8Array): WorkerId[] {
    return [...this.#inbound.values()]
      .filter((each) => nodeKey(each.node) === nodeKey(node) && each.isComplete)
      .filter((each) => Buffer.compare(this.#bytesOf(each.worker, node), bytes) === 0)
      .map((each) => each.worker);
  }

  #bytesOf(worker: WorkerId, node: TreeNode): Uint8Array {
    return this.#arena.bytes(this.#inbound.get(keyOf(worker, node))!.place, this.#bytes[this.#kind]);
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
    const checks = this.#checksOf([root, ...additions.flatMap(({ left, right }) => [left, right])]);
    const count = checks.length - from;
    // What lies in a buffer of ours is overwritten here before it is checked there: only workers' memory is checked.
    for (const { into, left, right } of additions)
      this.#kernels.add(into + 4 * from, left + 4 * from, right + 4 * from, count);
    return { root, additions, checks, usedFrom: this.#usedFrom };
  }

  #wholeTotal(root: number): Total {
    this.#add();
    if (this.#held.has(root)) return { root, additions: [] };
    const checks = this.#checksOf([root]);
    if (checks.vectors.length > 0) this.#run([], checks);
    const bytes = this.#bytes[this.#kind];
    const own = this.#acquire();
    this.#arena.bytes(own, bytes).set(this.#arena.bytes(root, bytes));
    this.#root = own;
    return { root: own, additions: [] };
  }

  #remove(worker: WorkerId, node: TreeNode): Inbound | undefined {
    const key = keyOf(worker, node);
    const inbound = this.#inbound.get(key);
    this.#inbound.delete(key);
    return inbound;
  }

  /** Frees a buffer; what lies in a worker's memory is the worker's to free. */
  #release(place: number): void {
    if (this.#held.delete(place)) this.#pools[this.#kind].release(place);
  }
}

/** The byte from which on a partial is here. */
const backOf = ({ assembly }: Inbound): number => assembly?.back ?? 0;
const keyOf = (worker: WorkerId, node: TreeNode): string => `${worker} ${nodeKey(node)}`;
const toNode = ([start, end]: readonly [number, number]): TreeNode => ({ start, end });
