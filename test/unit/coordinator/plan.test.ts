import { expect, it } from "vitest";
import { settingsOf } from "../../../coordinator/plan.ts";
import { data, job } from "../../simulation/job.ts";

it("a run of more steps than workers can be told of is refused", () => {
  const { config, model, layouts } = job;
  const settingsFor = (epochs: number) => settingsOf({ config: { ...config, epochs }, data, model, layouts }, "run", 0);
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
