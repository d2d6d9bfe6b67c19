/** The accuracies that the README claims are those that were measured, and meet their aims. */
import { expect, it, test } from "vitest";
import { aims, readReadme, readResults, tableOf, tablePattern } from "../accuracy/results.ts";

const results = readResults();

it("has the README's table as it was measured", () => {
  expect(tablePattern.exec(readReadme())?.[0]).toBe(tableOf(results));
});

test.each(results)("$example with seed $seed meets its aim", ({ example, seed, testAccuracy }) => {
  const aim = aims.find((each) => each.example === example)!;
  expect(aim.seeds).toContain(seed);
  expect(testAccuracy).toBeGreaterThanOrEqual(aim.least);
});
