/** The reference evaluator against values from tables and against scores so large that careless formulas overflow. */
import { expect, test } from "vitest";
import { evaluateProgram } from "../../../shared/engine/reference.ts";
import { fuse } from "../../../shared/graph/fuse.ts";
import type { Tensor } from "../../../shared/graph/operation.ts";
import { erf, sigmoid, softplus } from "../../../shared/graph/operations/elementwise.ts";
import { crossEntropy } from "../../../shared/graph/operations/labels.ts";
import { hardmax, logSoftmax, softmax } from "../../../shared/graph/operations/softmax.ts";
import { Sources } from "../../support/operations.ts";

function evaluate(apply: (x: Tensor, from: Sources) => Tensor, row: readonly number[], label = 0): number[] {
  const from = new Sources();
  const program = fuse(from.builder.build({ y: apply(from.rows(row.length), from) }), [1]);
  return [
    ...(evaluateProgram(program, { input0: Float64Array.from(row), labels: Int32Array.of(label) }, "float64")["y"] ??
      []),
  ];
}

test("erf is as in the table, on both sides of its branches (Abramowitz and Stegun, table 7.1)", () => {
  const known = [
    [0, 0],
    [0.5, 0.5204998778130465],
    [1, 0.8427007929497149],
    [2, 0.9953222650189527],
    [2.999, 0.9999777698314002],
    [3.5, 0.9999992569016276],
    [-4, -0.9999999845827421],
    [7, 1],
  ] as const;
  const values = evaluate(
    erf,
    known.map(([x]) => x),
  );
  known.forEach(([x, expected], place) => expect(values[place], `erf(${x})`).toBeCloseTo(expected, 12));
});

test("large scores don't overflow", () => {
  expect(evaluate((x) => softmax(x), [1000, 1000, -1000])).toEqual([0.5, 0.5, 0]);
  expect(evaluate((x) => logSoftmax(x), [1000, 0])).toEqual([0, -1000]);
  expect(evaluate((x, from) => crossEntropy(x, from.labels()), [1000, 0], 1)).toEqual([1000]);
  expect(evaluate(softplus, [1000, -1000])).toEqual([1000, 0]);
  expect(evaluate(sigmoid, [1000, -1000])).toEqual([1, 0]);
});

test("the first of equal scores is the largest", () => expect(evaluate(hardmax, [1, 3, 3])).toEqual([0, 1, 0]));
