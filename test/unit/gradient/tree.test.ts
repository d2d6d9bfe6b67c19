import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { childrenOf, isTreeNode, maximalSubtrees, nodeKey, parentOf, splitAt } from "../../../shared/gradient/tree.ts";
import type { TreeNode } from "../../../shared/gradient/tree.ts";

/** Every node of the tree over m shards, the root first. */
function nodesOf(m: number): TreeNode[] {
  const below = (node: TreeNode): TreeNode[] => [node, ...(childrenOf(node) ?? []).flatMap(below)];
  return below({ start: 0, end: m });
}

/** The tree as text: (left right), a shard as its number. */
function shape(node: TreeNode): string {
  const children = childrenOf(node);
  return children === undefined ? String(node.start) : `(${children.map(shape).join(" ")})`;
}

describe("the canonical tree", () => {
  it("splits at the largest power of two below the number of shards", () => {
    for (let m = 2; m <= 33; m++) {
      const split = splitAt(m);
      expect(Number.isInteger(Math.log2(split))).toBe(true);
      expect(split).toBeLessThan(m);
      expect(2 * split).toBeGreaterThanOrEqual(m);
    }
    for (const m of [1, 0, -1, 2.5, Number.NaN]) expect(() => splitAt(m)).toThrow(RangeError);
  });

  it("has exactly these shapes over one to seven shards", () => {
    expect([1, 2, 3, 4, 5, 6, 7].map((end) => shape({ start: 0, end }))).toEqual([
      "0",
      "(0 1)",
      "((0 1) 2)",
      "((0 1) (2 3))",
      "(((0 1) (2 3)) 4)",
      "(((0 1) (2 3)) (4 5))",
      "(((0 1) (2 3)) ((4 5) 6))",
    ]);
  });

  it("has one leaf a shard, in order, and a node more than twice as many nodes less one", () => {
    for (let m = 1; m <= 33; m++) {
      const nodes = nodesOf(m);
      expect(nodes).toHaveLength(2 * m - 1);
      const leaves = nodes.filter((node) => childrenOf(node) === undefined).map(({ start }) => start);
      expect(leaves).toEqual(Array.from({ length: m }, (_, shard) => shard));
    }
  });

  it("gives every child its parent, the root none, and refuses a range that is no node", () => {
    for (let m = 1; m <= 33; m++) {
      for (const node of nodesOf(m)) {
        for (const child of childrenOf(node) ?? []) expect(parentOf(m, child)).toEqual(node);
      }
      expect(parentOf(m, { start: 0, end: m })).toBeUndefined();
    }
    for (const [start, end] of [
      [1, 3],
      [0, 3],
      [4, 9],
      [2, 2],
      [-1, 1],
    ] as const) {
      expect(() => parentOf(8, { start, end })).toThrow(`${start}-${end} is no node of the tree over 8 shards`);
    }
  });
});

it("a range is a node of a tree if it is one of its nodes, and nothing beyond its shards is", () => {
  for (let m = 1; m <= 17; m++) {
    const keys = new Set(nodesOf(m).map(nodeKey));
    for (let start = -1; start <= m + 1; start++) {
      for (let end = -1; end <= m + 2; end++) {
        expect(isTreeNode(m, { start, end }), `${start}-${end} of ${m}`).toBe(keys.has(nodeKey({ start, end })));
      }
    }
  }
});

describe("maximalSubtrees", () => {
  it("covers every range of every tree exactly, in order, with the fewest nodes", () => {
    for (let m = 1; m <= 33; m++) {
      const keys = new Set(nodesOf(m).map(nodeKey));
      for (let start = 0; start < m; start++) {
        for (let end = start; end <= m; end++) {
          const found = maximalSubtrees(m, start, end);
          let at = start;
          for (const node of found) {
            expect(node.start).toBe(at);
            expect(keys.has(nodeKey(node))).toBe(true);
            at = node.end;
          }
          expect(at).toBe(end);
          // Minimal: no node's parent lies inside the range too.
          for (const node of found) {
            const parent = parentOf(m, node);
            expect(parent === undefined || parent.start < start || parent.end > end).toBe(true);
          }
        }
      }
    }
  });

  it("splits a whole tree into one partial for each worker and a few more", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5000 }), fc.nat(), fc.nat(), (m, one, other) => {
        const [start, end] = [one % (m + 1), other % (m + 1)].sort((left, right) => left - right) as [number, number];
        expect(maximalSubtrees(m, start, end).length).toBeLessThanOrEqual(2 * Math.ceil(Math.log2(m + 1)));
      }),
    );
  });
});
