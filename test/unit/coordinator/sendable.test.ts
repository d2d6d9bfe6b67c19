/** Plans that workers would refuse again and again are refused before there is a run, by the same limits. */
import { expect, it } from "vitest";
import { checkSendable } from "../../../coordinator/run/sendable.ts";
import { partialLayouts } from "../../../shared/gradient/partial.ts";
import { LONGEST_NAME } from "../../../shared/ids.ts";
import type { RunPlan } from "../../../shared/protocol/messages.ts";
import { job } from "../../simulation/job.ts";
import { refusal } from "../../support/errors.ts";

const check = (changes: Partial<RunPlan>): void => {
  const plan = { ...job.plan, ...changes };
  checkSendable(plan, partialLayouts(plan.parameters, plan.metrics, plan.evaluated));
};

/** The plan with another name for one of its parameters. */
const renamed = (name: string): RunPlan =>
  JSON.parse(JSON.stringify(job.plan).replaceAll("0.bias", () => name)) as RunPlan;

it("takes a parameter with the longest name there may be", () => {
  expect(job.plan.parameters[0]!.name).toBe("0.bias");
  expect(() => check(renamed("n".repeat(LONGEST_NAME)))).not.toThrow();
});

it.each([
  [
    "a longer one",
    renamed("n".repeat(LONGEST_NAME + 1)),
    /parameter 0\.name: found "n{59}…: more than 1000 characters/,
  ],
  ["a name of two lines", renamed("a\\nb"), /parameter 0\.name: found "a\\nb": a line break/],
  ["a graph that is none", { train: {} }, /graph: it has the fields/],
  ["more than one message holds", { train: "x".repeat(64 << 20) }, /has 67,\d+,\d+ bytes, too many/],
])("refuses a model with %s", (_what, changes, says) => {
  const error = refusal(() => check(changes));
  expect(error.code).toBe("MODEL_INVALID");
  expect(error.message).toMatch(says);
});

it("names what is wrong by its place in the config", () => {
  const data = { kind: "csv", train: "/a.csv", target: "size\n(cm)", classes: ["a", "b\u0007"] };
  expect(refusal(() => check({ data }))).toMatchObject({
    code: "CONFIG_INVALID",
    message:
      'config: data.csv.target: found "size\\n(cm)", which workers refuse: a line break, or another control character',
  });
  expect(refusal(() => check({ data: { ...data, target: 1 } })).message).toContain(
    'data.csv.classes: found ["a","b\\u0007"]',
  );
  expect(refusal(() => check({ batch: 0 })).message).toContain("config: batch: found 0");
});
