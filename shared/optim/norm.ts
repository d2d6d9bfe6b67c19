/**
 * The Euclidean norm of a whole vector, for clipping and for the gradient norm in the metrics. It steers training, so it
 * is reduced along the canonical tree over fixed chunks: its bits depend on the vector alone.
 */
import { childrenOf, type TreeNode } from "../gradient/tree.ts";
import type { Kernels } from "../kernels/index.ts";

/** Floats in a leaf of the tree. */
const leafFloats = 4096;

/** √Σv² over `count` floats from byte offset `vector` on, in float64. */
export function globalNorm(kernels: Kernels, vector: number, count: number): number {
  const sum = (node: TreeNode): number => {
    const children = childrenOf(node);
    if (children !== undefined) return sum(children[0]) + sum(children[1]);
    const start = node.start * leafFloats;
    return kernels.sumOfSquares(vector + 4 * start, Math.min(leafFloats, count - start));
  };
  return Math.sqrt(sum({ start: 0, end: Math.max(1, Math.ceil(count / leafFloats)) }));
}
