import { describe, expect, it } from "vitest";
import { bucketAt, bucketStarts, bucketsWithin, firstByteOf } from "../../../shared/gradient/buckets.ts";
import { layoutOf } from "../../../shared/memory/layout.ts";
import type { Laid } from "../../../shared/memory/layout.ts";
import { LEAST_BUCKET_BYTES, SEGMENT_BYTES } from "../../../shared/protocol/messages.ts";

/** Floats of a segment, and of the shortest bucket. */
const SEGMENT = SEGMENT_BYTES / 4;
const LEAST = LEAST_BUCKET_BYTES / 4;

/** Tensors of so many floats. */
const startsOf = (lengths: readonly number[], frozen: readonly number[] = []): number[] => {
  const laid = (length: number, index: number): Laid => ({ name: String(index), shape: [length] });
  const tensors = [...lengths, ...frozen].map(laid);
  return bucketStarts(layoutOf(tensors.map((each, index) => ({ ...each, frozen: index >= lengths.length }))));
};

describe("parameters are cut into buckets", () => {
  it.each<[string, readonly number[], readonly number[]]>([
    ["of 784-64-10 into one", [50_176, 64, 640, 10], [0]],
    ["of 784-1024-1024-10 in front of the second layer", [802_816, 1024, 1_048_576, 1024, 10_240, 16], [0, 803_840]],
    ["of few floats before many behind the few", [16, LEAST], [0, 16]],
    ["of few floats before not so many into one", [16, LEAST - 16], [0]],
    ["of many floats before few into one", [LEAST, 16], [0]],
    ["of one tensor into one", [9 * SEGMENT], [0]],
    ["of many equal ones into four", Array<number>(16).fill(SEGMENT), [0, 4 * SEGMENT, 8 * SEGMENT, 12 * SEGMENT]],
  ])("%s", (_, lengths, starts) => {
    expect(startsOf(lengths)).toEqual(starts);
  });

  it("by what is trained alone", () => {
    expect(startsOf([16, 4 * SEGMENT], [16 * SEGMENT, 16 * SEGMENT])).toEqual([0, 16]);
    expect(startsOf([], [16 * SEGMENT, 16 * SEGMENT])).toEqual([0]);
  });
});

describe("of three buckets", () => {
  const starts = [0, 160, SEGMENT];

  it.each([
    [0, 0],
    [159, 0],
    [160, 1],
    [SEGMENT, 2],
    [9 * SEGMENT, 2],
  ])("float %i is in bucket %i", (float, bucket) => expect(bucketAt(starts, float)).toBe(bucket));

  it.each([
    [0, 0],
    [639, 0],
    [640, 1],
    [SEGMENT_BYTES - 1, 1],
    [SEGMENT_BYTES, 2],
    [2 * SEGMENT_BYTES, 2],
  ])("within %i bytes lie %i, or all", (bytes, count) => expect(bucketsWithin(starts, bytes)).toBe(count));

  it("the segments of the first begin at 0, those of another where no earlier one has a share in them", () => {
    expect([0, 1, 2].map((bucket) => firstByteOf(starts, bucket))).toEqual([0, SEGMENT_BYTES, SEGMENT_BYTES]);
  });
});
