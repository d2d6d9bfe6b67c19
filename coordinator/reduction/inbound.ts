/** The partials of the open work that are on their way, or here and not added yet: of each node, perhaps from several workers. */
import { nodeKey } from "../../shared/gradient/tree.ts";
import type { TreeNode } from "../../shared/gradient/tree.ts";
import type { WorkerId } from "../../shared/ids.ts";
import type { Arena } from "../../shared/memory/arena.ts";
import type { Assembly } from "../../shared/protocol/assembly.ts";

export interface Inbound {
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

/** One that comes in segments. */
export interface Segmented extends Inbound {
  readonly assembly: Assembly;
}

/** The byte from which on a partial is here. */
export const backOf = ({ assembly }: Inbound): number => assembly?.back ?? 0;
const keyOf = (worker: WorkerId, node: TreeNode): string => `${worker} ${nodeKey(node)}`;

export class InboundPartials {
  readonly #arena: Arena;
  #bytes = 0;
  readonly #partials = new Map<string, Inbound>();

  constructor(arena: Arena) {
    this.#arena = arena;
  }

  /** Forgets all; those that come have so many bytes. */
  begin(bytes: number): void {
    this.#bytes = bytes;
    this.#partials.clear();
  }

  get(worker: WorkerId, node: TreeNode): Inbound | undefined {
    return this.#partials.get(keyOf(worker, node));
  }

  add(inbound: Inbound): void {
    this.#partials.set(keyOf(inbound.worker, inbound.node), inbound);
  }

  remove(worker: WorkerId, node: TreeNode): Inbound | undefined {
    const inbound = this.get(worker, node);
    this.#partials.delete(keyOf(worker, node));
    return inbound;
  }

  /** Of each node the one of which most is here. */
  get furthest(): Inbound[] {
    const furthest = new Map<string, Inbound>();
    for (const inbound of this.#partials.values()) {
      const key = nodeKey(inbound.node);
      const other = furthest.get(key);
      if (other === undefined || backOf(inbound) < backOf(other)) furthest.set(key, inbound);
    }
    return [...furthest.values()];
  }

  /** Groups workers by the bits of their complete partials over a node; finite sums first, else in the order given. */
  compare(node: TreeNode, workers: readonly WorkerId[]): WorkerId[][] {
    const groups: { readonly bytes: Uint8Array; readonly workers: WorkerId[] }[] = [];
    const isFinite = (worker: WorkerId): number => (this.get(worker, node)!.isFinite ? 0 : 1);
    for (const worker of workers.toSorted((left, right) => isFinite(left) - isFinite(right))) {
      const bytes = this.#bytesOf(this.get(worker, node)!);
      const group = groups.find((each) => Buffer.compare(each.bytes, bytes) === 0);
      if (group === undefined) groups.push({ bytes, workers: [worker] });
      else group.workers.push(worker);
    }
    return groups.map((group) => group.workers);
  }

  /** The workers whose complete partials over a node have these bits. */
  equalTo(node: TreeNode, bytes: Uint8Array): WorkerId[] {
    return [...this.#partials.values()]
      .filter((each) => nodeKey(each.node) === nodeKey(node) && each.isComplete)
      .filter((each) => Buffer.compare(this.#bytesOf(each), bytes) === 0)
      .map((each) => each.worker);
  }

  #bytesOf({ place }: Inbound): Uint8Array {
    return this.#arena.bytes(place, this.#bytes);
  }
}
