/** Plans whose parts are well-formed and do not belong together are refused before anything is computed. */
import { expect, it } from "vitest";
import { partialLayouts } from "../../../shared/gradient/partial.ts";
import { encodeGraph } from "../../../shared/graph/serialise.ts";
import { compileModel } from "../../../shared/nn/model.ts";
import type { RunPlan } from "../../../shared/protocol/messages.ts";
import { checkPlan } from "../../../shared/compute/check-plan.ts";
import { refusal } from "../../support/errors.ts";

function planOf(units: number, change: (plan: RunPlan) => Partial<RunPlan> = () => ({})): RunPlan {
  const model = compileModel({
    inputShape: [3],
    target: { kind: "class", classes: 2 },
    layers: [
      { kind: "dense", units },
      { kind: "dense", units: 2 },
    ],
    loss: { kind: "crossEntropy" },
  });
  const hash = "0".repeat(64);
  const plan = {
    seed: 1,
    data: { kind: "mnist" },
    validation: 0,
    dataMemory: 1024,
    augment: [],
    dataSha256: hash,
    train: encodeGraph(model.train),
    evaluate: encodeGraph(model.evaluate),
    parameters: model.parameters.map(({ name, shape, frozen }) => ({ name, shape, frozen })),
    layoutHash: hash,
    metrics: model.metrics,
    evaluated: model.evaluated,
    batch: 8,
    shards: 4,
    isLong: false,
    trace: false,
  };
  return { ...plan, ...change(plan) };
}

const check = (plan: RunPlan): void => checkPlan(plan, partialLayouts(plan.parameters, plan.metrics));

it("accepts what the model compiler makes", () => {
  expect(() => check(planOf(4))).not.toThrow();
});

it.each<[string, (plan: RunPlan) => Partial<RunPlan>]>([
  ["a parameter less", ({ parameters }) => ({ parameters: parameters.slice(1) })],
  [
    "a parameter more",
    ({ parameters }) => ({ parameters: [...parameters, { name: "9.weight", shape: [1], frozen: false }] }),
  ],
  [
    "a frozen parameter that has a gradient",
    ({ parameters }) => ({
      parameters: parameters.map((each, place) => ({ ...each, frozen: place === parameters.length - 1 })),
    }),
  ],
  [
    "a parameter of another shape",
    ({ parameters: [first, ...others] }) => ({ parameters: [{ ...first!, shape: [12] }, ...others] }),
  ],
  ["a metric less", () => ({ metrics: ["loss"] })],
  ["a metric of another name", () => ({ metrics: ["loss", "accuracy"] })],
  ["another model's evaluation", () => ({ evaluate: planOf(5).evaluate })],
  ["a training graph as evaluation", ({ train }) => ({ evaluate: train })],
  ["an evaluation as training graph", ({ evaluate }) => ({ train: evaluate })],
  ["no graph", () => ({ evaluate: {} })],
])("refuses %s", (_what, change) => {
  expect(refusal(() => check(planOf(4, change))).code).toBe("GRAPH_INVALID");
});
