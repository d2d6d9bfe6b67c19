/**
 * Combines partial sums along the canonical tree as they arrive, in whatever order: a node is added to its sibling as
 * soon as both are there, and to nothing else. Buffers are handles (byte offsets); the adding is the caller's kernel.
 */
import { childrenOf, nodeKey, parentOf } from "./tree.ts";
import type { TreeNode } from "./tree.ts";

/** The sum over a node's shards, and where it is. */
export interface Sum {
  readonly node: TreeNode;
  readonly buffer: number;
}

export class TreeReducer {
  readonly #shards: number;
  readonly #targets: ReadonlySet<string>;
  readonly #combine: (left: number, right: number) => number;
  readonly #held = new Map<string, Sum>();

  /**
   * @param shards number of shards of the whole work
   * @param targets nodes at which combining ends: the root on the coordinator, a worker's own subtrees on a worker
   * @param combine adds right to left and returns the buffer of the sum
   */
  constructor(shards: number, targets: readonly TreeNode[], combine: (left: number, right: number) => number) {
    this.#shards = shards;
    this.#targets = new Set(targets.map(nodeKey));
    this.#combine = combine;
  }

  /** Sums that wait for their sibling: their buffers are to be freed when nobody wants the targets any more. */
  get waiting(): Iterable<Sum> {
    return this.#held.values();
  }

  /** Whether combining ends at this node. */
  isTarget(node: TreeNode): boolean {
    return this.#targets.has(nodeKey(node));
  }

  /** Takes the sum over `node`; returns the target it completed, if it did. */
  add(node: TreeNode, buffer: number): Sum | undefined {
    let current = node;
    let sum = buffer;
    while (!this.#targets.has(nodeKey(current))) {
      const parent = parentOf(this.#shards, current);
      if (parent === undefined) throw new RangeError(`node ${nodeKey(node)} leads to none of the nodes asked for`);
      const [left, right] = childrenOf(parent)!;
      const isLeft = left.end === current.end;
      const sibling = nodeKey(isLeft ? right : left);
      const other = this.#held.get(sibling);
      if (other === undefined) {
        this.#held.set(nodeKey(current), { node: current, buffer: sum });
        return undefined;
      }
      this.#held.delete(sibling);
      sum = isLeft ? this.#combine(sum, other.buffer) : this.#combine(other.buffer, sum);
      current = parent;
    }
    return { node: current, buffer: sum };
  }
}
