import { expect, it } from "vitest";
import { planOf, settingsOf } from "../../../coordinator/run/plan.ts";
import type { RunConfig } from "../../../coordinator/config/config.ts";
import type { Settings } from "../../../coordinator/core/settings.ts";
import { data, job } from "../../simulation/job.ts";

const settingsWith = (changes: Partial<RunConfig>, model = job.model): Settings => {
  const { config, layouts } = job;
  return settingsOf({ config: { ...config, ...changes }, data, model, layouts }, "run", 0);
};
const settingsFor = (epochs: number): Settings => settingsWith({ epochs });

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

it("a figure that is known only at the end steers nothing before it", () => {
  const stopEarly = { patience: 2, threshold: 0 };
  const refused: [Partial<RunConfig>, string][] = [
    [{}, "the schedule plateau goes by testLoss"],
    [{ schedule: { kind: "constant" }, stopEarly, monitor: "testAccuracy" }, "stopEarly goes by testAccuracy"],
  ];
  for (const [changes, says] of refused)
    expect(() => settingsWith({ ...changes, evaluateEvery: 0 })).toThrow(
      expect.objectContaining({
        code: "CONFIG_INVALID",
        message: `config: evaluateEvery: 0 evaluates only at the end, and ${says} before it`,
      }),
    );
  expect(settingsWith({ evaluateEvery: 0, stopEarly, monitor: "loss" }).monitor).toBe("loss");
  expect(settingsWith({ evaluateEvery: 0, schedule: { kind: "constant" } }).monitor).toBe("testLoss");
});

it("an accuracy steers whatever the loss is, unless none is measured", () => {
  const loss = { kind: "custom", name: "mine" } as const;
  const steered = { model: { ...job.config.model, loss }, monitor: "testAccuracy" } as const;
  expect(settingsWith(steered).monitor).toBe("testAccuracy");
  expect(() => settingsWith(steered, { ...job.model, metrics: ["loss"] })).toThrow(
    "config: monitor: testAccuracy is never known: the model does not predict a score for each of some classes",
  );
});
