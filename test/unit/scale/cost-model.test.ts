import { expect, test } from "vitest";
import {
  fitCosts,
  nonNegativeFit,
  predictedParts,
  saturation,
  totalOf,
} from "../../../coordinator/scale/cost-model.ts";
import type { CostModel } from "../../../coordinator/scale/cost-model.ts";
import type { Point } from "../../../coordinator/scale/experiment.ts";

const point = (workers: number, batch = 128): Point => ({ workers, threads: 1, shards: 8, batch });

const known: CostModel = {
  compute: { constant: 0.2, rate: 0.004 },
  reduce: { constant: 0.05, rate: 1e-7 },
  wire: { constant: 0.1, rate: 4e-7 },
  wait: { constant: 0.3, rate: 0.25 },
  parameterBytes: 200_000,
};

test("the costs that made the measurements are found again, and predict points that were not measured", () => {
  const measured = [1, 2, 4].map((workers) => ({
    point: point(workers),
    parts: predictedParts(known, point(workers), 2),
  }));
  const model = fitCosts(measured, known.parameterBytes, 2);
  for (const part of ["compute", "reduce", "wire", "wait"] as const) {
    expect(model[part].constant, part).toBeCloseTo(known[part].constant, 9);
    expect(model[part].rate / known[part].rate, part).toBeCloseTo(1, 9);
  }
  expect(totalOf(predictedParts(model, point(8, 512), 2))).toBeCloseTo(
    totalOf(predictedParts(known, point(8, 512), 2)),
    9,
  );
});

test("a step's costs are those of its busiest thread, of every partial, and of cores that are shared", () => {
  const only = (part: keyof CostModel, rate: number): CostModel => {
    const none = { constant: 0, rate: 0 };
    return { compute: none, reduce: none, wire: none, wait: none, parameterBytes: 10, [part]: { constant: 0, rate } };
  };
  const compute = (workers: number, cores: number): number =>
    predictedParts(only("compute", 1), point(workers), cores).compute;
  expect([1, 2, 4, 8].map((workers) => compute(workers, Infinity))).toEqual([128, 64, 32, 16]);
  expect([1, 2, 4, 8].map((workers) => compute(workers, 2))).toEqual([128, 64, 64, 64]);
  // Three workers own 3, 2 and 3 of eight shards: 2 + 2 + 2 subtrees.
  expect(predictedParts(only("reduce", 1), point(3), 2).reduce).toBe(60);
  expect(predictedParts(only("wire", 1), point(3), 2).wire).toBe(60 + 30);
  // More workers than shards stand by.
  expect(predictedParts(only("wire", 1), point(100), 2).wire).toBe(80 + 80);
});

test("the coordinator saturates where its work on the messages outgrows the computing", () => {
  const at = saturation(known, point(1), 1024)!;
  const parts = (workers: number) =>
    predictedParts(known, { ...point(workers), shards: Math.max(8, workers) }, Infinity);
  const isSaturated = (workers: number): boolean => {
    const { compute, reduce, wire, wait } = parts(workers);
    return reduce + wire > compute + wait;
  };
  expect([isSaturated(at - 1), isSaturated(at)]).toEqual([false, true]);
  const free = { constant: 0.1, rate: 0 };
  expect(saturation({ ...known, wire: free, reduce: free }, point(1), 64)).toBeUndefined();
});

test("a fit has neither a constant nor a rate below zero", () => {
  expect(nonNegativeFit([1, 2, 3], [3, 5, 7])).toEqual({ constant: 1, rate: 2 });
  expect(nonNegativeFit([1, 2, 3], [7, 5, 3])).toEqual({ constant: 5, rate: 0 });
  const through = nonNegativeFit([1, 2, 3], [0, 2, 4]);
  expect(through.constant).toBe(0);
  expect(through.rate).toBeCloseTo(16 / 14, 12);
  expect(nonNegativeFit([2, 2], [3, 5])).toEqual({ constant: 0, rate: 2 });
  expect(nonNegativeFit([0, 0], [3, 5])).toEqual({ constant: 4, rate: 0 });
});
