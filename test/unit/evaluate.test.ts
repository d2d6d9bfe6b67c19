/** The sum of an evaluation has one order, the canonical tree's, and is rounded to float32 at every addition. */
import { expect, it } from "vitest";
import { treeSum } from "../../coordinator/trained/evaluate.ts";

it("adds along the canonical tree in float32", () => {
  // Half the distance from 1 to the next float32: added to 1 alone it is lost, as a tie to even; two of them are not.
  const tiny = 2 ** -24;
  expect(treeSum([1, tiny, tiny, tiny])).toBe(1 + 2 * tiny);
  expect([1, tiny, tiny, tiny].reduce((sum, value) => Math.fround(sum + value))).toBe(1);
  // Three split into two and one.
  expect(treeSum([1, tiny, tiny])).toBe(1);
  expect(treeSum([0.1])).toBe(0.1);
  expect(treeSum([1, 2, 3, 4, 5, 6, 7])).toBe(28);
});
