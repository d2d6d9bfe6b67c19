/** How a worker's subtrees become calls of the engine. Any cut along the tree gives the same bits. */
import { childrenOf } from "../gradient/tree.ts";
import type { TreeNode } from "../gradient/tree.ts";

/** More rows than this in one call save nothing and cost memory for activations. */
export const ROWS_PER_CALL = 2048;

/** Cuts nodes along the tree until no call is too large and every thread has one. `sizes`: samples of each shard. */
export function nodesToCompute(nodes: readonly TreeNode[], sizes: readonly number[], threads: number): TreeNode[] {
  const rows = (node: TreeNode): number => sizes.slice(node.start, node.end).reduce((sum, size) => sum + size, 0);
  const tasks = [...nodes];
  for (;;) {
    const largest = tasks.reduce((best, node, index) => (rows(node) > rows(tasks[best]!) ? index : best), 0);
    const node = tasks[largest]!;
    const halves = childrenOf(node);
    if (halves === undefined || (rows(node) <= ROWS_PER_CALL && tasks.length >= threads)) return tasks;
    tasks.splice(largest, 1, ...halves);
  }
}
