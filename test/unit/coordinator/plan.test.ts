import { expect, it } from "vitest";
import { planOf, settingsOf } from "../../../coordinator/plan.ts";
import type { Settings } from "../../../coordinator/core/state.ts";
import { data, job } from "../../simulation/job.ts";

const settingsFor = (epochs: number): Settings => {
  const { config, model, layouts } = job;
  return settingsOf({ config: { ...config, epochs }, data, model, layouts }, "run", 0);
};

it("a run of more steps than workers can be told of is refused", () => {
  // Four steps an epoch.
  expect(settingsFor(134_217_727).epochs).toBe(134_217_727);
  expect(() => settingsFor(134_217_728)).toThrow(
    expect.objectContaining({
      code: "CONFIG_INVALID",
      message: "134,217,728 epochs of 4 steps are more than 536,870,910 steps",
      hint: "train for at most 134,217,727 epochs",
    }),
  );
});

it("workers are told whether many steps are planned", () => {
  const isLong = (epochs: number): boolean => planOf({ ...job, data }, settingsFor(epochs), false).isLong;
  // Four steps an epoch, 6,000 steps in all.
  expect(isLong(1_499)).toBe(false);
  expect(isLong(1_500)).toBe(true);
});
