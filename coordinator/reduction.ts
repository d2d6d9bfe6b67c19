/**
 * The partials of the open work on their way to one sum: segments are put together in shared memory, whole partials are
 * added along the canonical tree as soon as their sibling is there. The core says which bytes are wanted.
 */
import { TreeReducer } from "../shared/gradient/reducer.ts";
import { nodeKey } from "../shared/gradient/tree.ts";
import type { TreeNode } from "../shared/gradient/tree.ts";
import { vectorBytes } from "../shared/gradient/partial.ts";
import type { PartialLayouts } from "../shared/gradient/partial.ts";
import type { WorkerId } from "../shared/ids.ts";
import type { Kernels } from "../shared/kernels/index.ts";
import type { Arena } from "../shared/memory/arena.ts";
import { fillAndInspect } from "../shared/memory/blocks.ts";
import { BufferPool } from "../shared/memory/buffers.ts";
import { checkedVector } from "../shared/memory/vector.ts";
import { Assembly } from "../shared/protocol/assembly.ts";
import type { Partial, PlacedPartial, WorkKind } from "../shared/protocol/messages.ts";
import { mostCopies } from "./core/assigning.ts";
import type { Work } from "./core/state.ts";

interface Inbound {
  readonly worker: WorkerId;
  readonly node: TreeNode;
  readonly buffer: number;
  /** Undefined for one that comes whole. */
  readonly assembly: Assembly | undefined;
  isComplete: boolean;
  /** Whether every value of a complete one is a finite number. */
  isFinite: boolean;
}

/** Bytes of an arena that a reduction needs. */
export const reductionBytes = (layouts: PartialLayouts, shards: Readonly<Record<WorkKind, number>>): number =>
  mostCopies(shards.train) * vectorBytes(layouts.partial.train) +
  mostCopies(shards.evaluate) * vectorBytes(layouts.partial.evaluate);

export class Reduction {
  readonly #arena: Arena;
  readonly #kernels: Kernels;
  readonly #bytes: Readonly<Record<WorkKind, number>>;
  readonly #pools: Readonly<Record<WorkKind, BufferPool>>;
  #kind: WorkKind = "train";
  #reducer: TreeReducer | undefined;
  #inbound = new Map<string, Inbound>();
  #held = new Set<number>();
  #root: number | undefined;

  constructor(arena: Arena, kernels: Kernels, layouts: PartialLayouts, shards: Readonly<Record<WorkKind, number>>) {
    this.#arena = arena;
    this.#kernels = kernels;
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
    this.#root = undefined;
    this.#kind = work.name.kind;
    this.#reducer = new TreeReducer(work.shards, [{ start: 0, end: work.shards }], (left, right) => {
      this.#kernels.add(left, left, right, this.#bytes[this.#kind] / 4);
      this.#release(right);
    });
  }

  /** Takes a segment of a partial of the open work. */
  take(worker: WorkerId, partial: Partial, section: Uint8Array): "corrupt" | "partial" | "complete" {
    const node = toNode(partial.node);
    let inbound = this.#inbound.get(keyOf(worker, node));
    if (inbound?.assembly === undefined) {
      // In place of one that was announced whole and damaged, if there was one.
      this.drop(worker, node);
      inbound = this.#begin(worker, node, (buffer) => {
        const bytes = this.#bytes[this.#kind];
        return new Assembly(checkedVector(this.#arena, this.#kernels, buffer, bytes));
      });
    }
    const taken = inbound.assembly!.take(partial.segment, section);
    if (taken === "complete") {
      inbound.isComplete = true;
      inbound.isFinite = this.#kernels.allFinite(inbound.buffer, this.#bytes[this.#kind] / 4);
    }
    return taken;
  }

  /** Takes a whole partial of the open work from shared memory; `read` fills bytes with what is there from byte `from` on, or says that it cannot. */
  takePlaced(
    worker: WorkerId,
    { node: [start, end], checksum }: PlacedPartial,
    read: (into: Uint8Array, from: number) => boolean,
  ): "corrupt" | "complete" {
    const node = { start, end };
    this.drop(worker, node);
    const inbound = this.#begin(worker, node, () => undefined);
    const bytes = this.#bytes[this.#kind];
    const found = fillAndInspect(this.#kernels, inbound.buffer, bytes, (at, length) =>
      read(this.#arena.bytes(inbound.buffer + at, length), at),
    );
    inbound.isComplete = found?.checksum === checksum;
    inbound.isFinite = found?.isFinite === true;
    return inbound.isComplete ? "complete" : "corrupt";
  }

  #begin(worker: WorkerId, node: TreeNode, assemblyIn: (buffer: number) => Assembly | undefined): Inbound {
    const key = keyOf(worker, node);
    const buffer = this.#pools[this.#kind].acquire();
    if (buffer === undefined) throw new Error(`more partials are arriving than were assigned; the last is ${key}`);
    this.#held.add(buffer);
    const inbound: Inbound = { worker, node, buffer, assembly: assemblyIn(buffer), isComplete: false, isFinite: false };
    this.#inbound.set(key, inbound);
    return inbound;
  }

  /** Adds a whole partial to the sum. */
  fold(worker: WorkerId, node: TreeNode): void {
    this.#root = this.#reducer!.add(node, this.#remove(worker, node)!)?.buffer;
  }

  /** Frees a partial that is not used; nothing happens if none of its bytes were taken. */
  drop(worker: WorkerId, node: TreeNode): void {
    const buffer = this.#remove(worker, node);
    if (buffer !== undefined) this.#release(buffer);
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
    return this.#arena.bytes(this.#inbound.get(keyOf(worker, node))!.buffer, this.#bytes[this.#kind]);
  }

  /** Byte offset of the sum over all shards of the open work. */
  get root(): number {
    if (this.#root === undefined) throw new Error("the sum is not complete");
    return this.#root;
  }

  #remove(worker: WorkerId, node: TreeNode): number | undefined {
    const key = keyOf(worker, node);
    const buffer = this.#inbound.get(key)?.buffer;
    this.#inbound.delete(key);
    return buffer;
  }

  #release(buffer: number): void {
    this.#held.delete(buffer);
    this.#pools[this.#kind].release(buffer);
  }
}

const keyOf = (worker: WorkerId, node: TreeNode): string => `${worker} ${nodeKey(node)}`;
const toNode = ([start, end]: readonly [number, number]): TreeNode => ({ start, end });
