import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { cutIntoShards, planRanges } from "../../../shared/gradient/plan.ts";

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);

describe("cutIntoShards", () => {
  it("gives the first shards a sample more, and makes fewer where a shard would have a single one", () => {
    expect(cutIntoShards(10, 4)).toEqual({ sizes: [3, 3, 2, 2], starts: [0, 3, 6, 8] });
    expect(cutIntoShards(1, 8)).toEqual({ sizes: [1], starts: [0] });
    expect(cutIntoShards(3, 8)).toEqual({ sizes: [3], starts: [0] });
    expect(cutIntoShards(5, 8)).toEqual({ sizes: [3, 2], starts: [0, 3] });
    expect(cutIntoShards(16, 8).sizes).toEqual([2, 2, 2, 2, 2, 2, 2, 2]);
    expect(cutIntoShards(15, 8).sizes).toEqual([3, 2, 2, 2, 2, 2, 2]);
  });

  it("uses every sample once, in order, in shards whose sizes differ by at most one and hold two or more", () => {
    const positive = fc.integer({ min: 1, max: 100_000 });
    fc.assert(
      fc.property(positive, fc.integer({ min: 1, max: 300 }), (samples, shards) => {
        const { sizes, starts } = cutIntoShards(samples, shards);
        expect(sizes).toHaveLength(Math.min(shards, Math.max(1, Math.floor(samples / 2))));
        expect(sum(sizes)).toBe(samples);
        sizes.forEach((_, shard) => expect(starts[shard]).toBe(sum(sizes.slice(0, shard))));
        expect(sizes[0]! - sizes.at(-1)!).toBeLessThanOrEqual(1);
        expect(sizes).toEqual(sizes.toSorted((left, right) => right - left));
        expect(sizes.at(-1)).toBeGreaterThanOrEqual(Math.min(2, samples));
      }),
    );
  });
});

describe("planRanges", () => {
  it("shares out by weight", () => {
    expect(planRanges(8, [1, 1])).toEqual([
      { start: 0, end: 4 },
      { start: 4, end: 8 },
    ]);
    expect(planRanges(9, [2, 1])).toEqual([
      { start: 0, end: 6 },
      { start: 6, end: 9 },
    ]);
    expect(planRanges(3, [])).toEqual([]);
  });

  it("covers all shards in order, each range within one shard of its exact share", () => {
    const weight = fc.oneof(fc.integer({ min: 1, max: 100_000 }), fc.double({ min: 1e-6, max: 1e6, noNaN: true }));
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5000 }),
        fc.array(weight, { minLength: 1, maxLength: 200 }),
        (shards, weights) => {
          const ranges = planRanges(shards, weights);
          expect(ranges).toHaveLength(weights.length);
          let at = 0;
          ranges.forEach(({ start, end }, index) => {
            expect(start).toBe(at);
            expect(end).toBeGreaterThanOrEqual(start);
            expect(Math.abs(end - start - (shards * weights[index]!) / sum(weights))).toBeLessThanOrEqual(1 + 1e-9);
            at = end;
          });
          expect(at).toBe(shards);
        },
      ),
    );
  });
});
