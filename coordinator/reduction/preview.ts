/** How partials are added of which only the end is there: along the canonical tree, without writing to any of them. */
import { TreeReducer } from "../../shared/gradient/reducer.ts";
import type { Sum } from "../../shared/gradient/reducer.ts";
import type { Addition } from "../crew/job.ts";

/** Buffers for sums of neighbours that wait for theirs, when parts are added from left to right: as many as the tree is deep. */
export const sparesFor = (parts: number, shards: number): number =>
  Math.min(parts - 1, 1 + Math.ceil(Math.log2(shards)));

/**
 * The additions that make the sum over all shards, at `root`, of the sums over parts of them.
 * @param spares as many buffers as `sparesFor` says, which are written
 */
export function addedUp(
  shards: number,
  parts: readonly Sum[],
  spares: readonly number[],
): { readonly root: number; readonly additions: readonly Addition[] } {
  const free = [...spares];
  const additions: Addition[] = [];
  const tree = new TreeReducer(shards, [{ start: 0, end: shards }], (left, right) => {
    const into = [left, right].find((each) => spares.includes(each)) ?? free.pop()!;
    if (into === left && spares.includes(right)) free.push(right);
    additions.push({ into, left, right });
    return into;
  });
  const inOrder = parts.toSorted((left, right) => left.node.start - right.node.start);
  const root = inOrder.map(({ node, buffer }) => tree.add(node, buffer)).at(-1)!.buffer;
  return { root, additions };
}
