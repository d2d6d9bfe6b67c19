/** The accuracies that the README claims are those that were measured, and meet their aims. */
import { expect, it, test } from "vitest";
import { aims, readReadme, readResults, tableOf, tablePattern } from "../accuracy/results.ts";

const results = readResults();

it("has the README's table as it was measured", () => {
  expect(tablePattern.exec(readReadme())?.[0]).toBe(tableOf(results));
});

it("has every seed of every example", () => {
  const wanted = aims.flatMap(({ example, seeds }) => seeds.map((seed) => `${example} ${seed}`));
  expect(results.map(({ example, seed }) => `${example} ${seed}`).toSorted()).toEqual(wanted.toSorted());
});

test.each(results)("$example with seed $seed meets its aim", ({ example, seed, testAccuracy }) => {
  const aim = aims.find((each) => each.example === example)!;
  expect(aim.seeds).toContain(seed);
  expect(testAccuracy).toBeGreaterThanOrEqual(aim.least);
});
