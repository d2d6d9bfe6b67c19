/**
 * The canonical reduction tree. A tree over m shards splits at the largest power of two below m, so its shape depends on
 * m alone; sums combined along it have the same bits whoever computed which part. Every node is a range of shards.
 */

/** A range of shards [start, end) that is a node of the canonical tree. */
export interface TreeNode {
  readonly start: number;
  readonly end: number;
}

/** Where a node of m ≥ 2 shards splits: the largest power of two below m. */
export function splitAt(m: number): number {
  if (!Number.isInteger(m) || m < 2) throw new RangeError(`a tree node of ${m} shards has no split`);
  return 2 ** (31 - Math.clz32(m - 1));
}

/** The two halves of a node, left first; undefined for a single shard. */
export function childrenOf(node: TreeNode): readonly [TreeNode, TreeNode] | undefined {
  const m = node.end - node.start;
  if (m < 2) return undefined;
  const middle = node.start + splitAt(m);
  return [
    { start: node.start, end: middle },
    { start: middle, end: node.end },
  ];
}

/** The fewest nodes of the tree over `shards` shards that cover [start, end) exactly, left to right. */
export function maximalSubtrees(shards: number, start: number, end: number): TreeNode[] {
  const found: TreeNode[] = [];
  const visit = (node: TreeNode): void => {
    if (node.end <= start || node.start >= end) return;
    if (node.start >= start && node.end <= end) {
      found.push(node);
      return;
    }
    for (const child of childrenOf(node) ?? []) visit(child);
  };
  visit({ start: 0, end: shards });
  return found;
}

/** Whether a range is a node of the tree over `shards` shards. */
export function isTreeNode(shards: number, node: TreeNode): boolean {
  const cover = maximalSubtrees(shards, node.start, node.end);
  return cover.length === 1 && cover[0]!.start === node.start && cover[0]!.end === node.end;
}

/** A node as messages have it. */
export const toNode = ([start, end]: readonly [number, number]): TreeNode => ({ start, end });

/** A node's name, as a key of maps and in messages. */
export const nodeKey = (node: TreeNode): string => `${node.start}-${node.end}`;

/** The parent of a node in the tree over `shards` shards; undefined for the root. Throws for a range that is no node. */
export function parentOf(shards: number, node: TreeNode): TreeNode | undefined {
  let parent: TreeNode | undefined;
  let current: TreeNode = { start: 0, end: shards };
  while (current.start !== node.start || current.end !== node.end) {
    const next = childrenOf(current)?.find((child) => child.start <= node.start && node.end <= child.end);
    if (next === undefined) throw new RangeError(`${nodeKey(node)} is no node of the tree over ${shards} shards`);
    parent = current;
    current = next;
  }
  return parent;
}
