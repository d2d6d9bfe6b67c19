import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { TreeReducer } from "../../../shared/gradient/reducer.ts";
import { childrenOf, maximalSubtrees, nodeKey } from "../../../shared/gradient/tree.ts";
import type { TreeNode } from "../../../shared/gradient/tree.ts";
import { partialLayouts, vectorBytes } from "../../../shared/gradient/partial.ts";

/** Numbers of very different size: their float32 sum shows the order it was made in. */
const values = (shards: number, seed: number): Float32Array =>
  Float32Array.from({ length: shards }, (_, shard) =>
    Math.fround(Math.sin(shard * 12.9898 + seed) * 10 ** ((shard * 7) % 9)),
  );

/** The oracle: the sum over a node by recursion, rounded to float32 after each addition. */
function treeSum(floats: Float32Array, node: TreeNode): number {
  const children = childrenOf(node);
  if (children === undefined) return floats[node.start]!;
  const [left, right] = children;
  return Math.fround(treeSum(floats, left) + treeSum(floats, right));
}

/** Feeds the nodes in the order given by `ranks`; a buffer is a place in `sums`. */
function reduce(
  shards: number,
  floats: Float32Array,
  nodes: readonly TreeNode[],
  targets: readonly TreeNode[],
  ranks: readonly number[],
) {
  const sums = nodes.map((node) => treeSum(floats, node));
  const freed: number[] = [];
  const reducer = new TreeReducer(shards, targets, (left, right) => {
    sums[left] = Math.fround(sums[left]! + sums[right]!);
    freed.push(right);
    return left;
  });
  const order = nodes
    .map((_, index) => index)
    .toSorted((one, other) => ranks[one % ranks.length]! - ranks[other % ranks.length]!);
  const done = order.flatMap((index) => reducer.add(nodes[index]!, index) ?? []);
  return { done: done.map(({ node, buffer }) => ({ node, sum: sums[buffer]! })), freed, waiting: [...reducer.waiting] };
}

const ranks = fc.array(fc.double({ noNaN: true }), { minLength: 64, maxLength: 64 });

describe("TreeReducer", () => {
  it("gives the bits of the recursive tree sum, whoever sent which subtrees in whatever order", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 64 }),
        fc.array(fc.nat(64), { maxLength: 5 }),
        ranks,
        fc.nat(1000),
        (m, cuts, ranks, seed) => {
          const floats = values(m, seed);
          const edges = [0, ...cuts.map((cut) => Math.min(cut, m)), m].toSorted((left, right) => left - right);
          const nodes = edges.slice(1).flatMap((end, index) => maximalSubtrees(m, edges[index]!, end));
          const root = { start: 0, end: m };
          const { done, freed, waiting } = reduce(m, floats, nodes, [root], ranks);
          expect(done).toEqual([{ node: root, sum: treeSum(floats, root) }]);
          expect(new Set(freed).size).toBe(nodes.length - 1);
          expect(waiting).toEqual([]);
        },
      ),
    );
  });

  it("would be seen to fail by these values if it folded in the order of arrival", () => {
    const floats = values(32, 1);
    const folded = floats.reduce((sum, value) => Math.fround(sum + value), 0);
    const backwards = floats.reduceRight((sum, value) => Math.fround(sum + value), 0);
    const root = { start: 0, end: 32 };
    expect(new Set([folded, backwards, treeSum(floats, root)]).size).toBe(3);
  });

  it("stops at a worker's own subtrees", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 64 }), fc.nat(64), fc.nat(64), ranks, (m, one, other, ranks) => {
        const [start, end] = [Math.min(one, m), Math.min(other, m)].toSorted((left, right) => left - right) as [
          number,
          number,
        ];
        const floats = values(m, 3);
        const targets = maximalSubtrees(m, start, end);
        const leaves = Array.from({ length: end - start }, (_, index) => ({
          start: start + index,
          end: start + index + 1,
        }));
        const { done } = reduce(m, floats, leaves, targets, ranks);
        const sorted = done.toSorted((left, right) => left.node.start - right.node.start);
        expect(sorted).toEqual(targets.map((node) => ({ node, sum: treeSum(floats, node) })));
      }),
    );
  });

  it("adds the right node to the left one, whichever came first, and names the buffers that wait", () => {
    const added: [number, number][] = [];
    const reducer = new TreeReducer(8, [{ start: 0, end: 8 }], (left, right) => {
      added.push([left, right]);
      return left;
    });
    reducer.add({ start: 0, end: 2 }, 10);
    reducer.add({ start: 4, end: 8 }, 20);
    reducer.add({ start: 3, end: 4 }, 30);
    expect([...reducer.waiting].map(({ node, buffer }) => [node.start, node.end, buffer])).toEqual([
      [0, 2, 10],
      [4, 8, 20],
      [3, 4, 30],
    ]);
    expect(reducer.add({ start: 2, end: 3 }, 40)?.buffer).toBe(10);
    expect(added).toEqual([
      [40, 30],
      [10, 40],
      [10, 20],
    ]);
    expect([...reducer.waiting]).toEqual([]);
  });

  it("refuses a node outside the subtrees asked for", () => {
    const reducer = new TreeReducer(8, [{ start: 0, end: 4 }], (left) => left);
    reducer.add({ start: 4, end: 8 }, 1);
    expect(() => reducer.add({ start: 0, end: 8 }, 2)).toThrow(`node ${nodeKey({ start: 0, end: 8 })} leads to none`);
    expect(() => reducer.add({ start: 1, end: 3 }, 3)).toThrow(RangeError);
  });
});

describe("a partial's layout", () => {
  const layouts = partialLayouts(
    [
      { name: "0.weight", shape: [3, 7] },
      { name: "0.bias", shape: [3] },
    ],
    ["loss", "correct"],
  );

  it("holds the gradients where the parameters lie, and the metrics behind them", () => {
    const { parameters, partial } = layouts;
    expect(partial.train.slots.slice(0, 2)).toEqual(parameters.slots);
    expect(partial.train.slots.map(({ name, offset }) => [name, offset])).toEqual([
      ["0.weight", 0],
      ["0.bias", 32],
      ["metric:loss", 48],
      ["metric:correct", 64],
    ]);
    expect(vectorBytes(partial.train)).toBe(4 * 80);
  });

  it("of an evaluation holds the metrics alone", () => {
    expect(layouts.partial.evaluate.slots.map(({ name, offset }) => [name, offset])).toEqual([
      ["metric:loss", 0],
      ["metric:correct", 16],
    ]);
    expect(vectorBytes(layouts.partial.evaluate)).toBe(128);
  });
});
