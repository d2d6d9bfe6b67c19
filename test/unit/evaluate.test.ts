/**
 * The sum of an evaluation has one order, the canonical tree's, and is rounded to float32 at every addition. Whatever else the process
 * does goes on meanwhile.
 */
import { expect, it, onTestFinished } from "vitest";
import { evaluate, treeSum } from "../../coordinator/trained/evaluate.ts";
import { createDataset } from "../../shared/data/dataset.ts";
import { layoutOf } from "../../shared/memory/layout.ts";
import { data, job } from "../simulation/job.ts";

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

it("gives the rest of the process its turn between two chunks", async () => {
  const length = 1_000;
  const test = createDataset({
    sampleShape: [3],
    target: { kind: "class", classes: 3 },
    features: new Float32Array(3 * length),
    targets: new Int32Array(length),
  });
  const layout = layoutOf(job.model.parameters);
  const parameters = new Float32Array(layout.size);
  let turns = 0;
  const take = (): void => {
    turns += 1;
    next = setImmediate(take);
  };
  let next = setImmediate(take);
  onTestFinished(() => clearImmediate(next));
  const trained = { ...job, data, dataSha256: data.sha256, layout, parameters, source: "nowhere" };
  const { samples, testLoss } = await evaluate(trained, test);
  expect({ samples, testLoss }).toEqual({ samples: length, testLoss: expect.closeTo(Math.log(3), 5) as number });
  // Four chunks of 250.
  expect(turns).toBeGreaterThanOrEqual(3);
});
