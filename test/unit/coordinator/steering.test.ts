/** What the core decides at the end of an epoch, by the figures of every epoch so far. */
import { expect, it } from "vitest";
import { rateAfter } from "../../../coordinator/core/steering.ts";
import type { Settings } from "../../../coordinator/core/settings.ts";
import { CoordinatorTrace } from "../../support/coordinator-trace.ts";

const schedule = (spec: Settings["schedule"]["spec"]): Settings["schedule"] => ({
  spec,
  learningRate: 1,
  batch: 8,
  stepsPerEpoch: 1,
  epochs: 100,
});

/** Epochs of one step each, and an evaluation whose mean loss over the 6 test samples is the figure; 4 are right, or as many. */
function afterEpochs(
  figures: readonly number[],
  changes: Partial<Settings>,
  correct: readonly number[] = [],
): { run: CoordinatorTrace; lines: string[] } {
  const run = new CoordinatorTrace({ trainSamples: 8, epochs: 100, ...changes });
  run.join("a");
  const lines = figures.flatMap((figure, epoch) => {
    if (run.state.phase === "ended") return [];
    run.finishWork();
    run.correct = correct[epoch] ?? 4;
    return run.finishWork(6 * figure).map((line) => `${epoch + 1}: ${line}`);
  });
  return { run, lines };
}

const having = (lines: readonly string[], part: string): string[] => lines.filter((line) => line.includes(part));

it("reduces the learning rate when the figure has not improved for more than the patience, again and again", () => {
  const plateau = schedule({ kind: "plateau", factor: 0.5, patience: 1, threshold: 0.1 });
  // 0.95 is less than a tenth better than 1.
  const { run, lines } = afterEpochs([1, 0.95, 0.92, 0.5, 0.5, 0.5, 0.5, 0.5], { schedule: plateau });
  expect(having(lines, "rate-reduced")).toEqual([
    "3: notify rate-reduced",
    "6: notify rate-reduced",
    "8: notify rate-reduced",
  ]);
  expect(rateAfter(run.state, run.state.steps)).toBe(0.125);
});

it("stops after as many epochs without an improvement, as a completed run, with a checkpoint", () => {
  const { run, lines } = afterEpochs([1, 0.5, 0.6, 0.4, 0.4, 0.4, 0.4], { stopEarly: { patience: 2, threshold: 0 } });
  expect(having(lines, "stopped-early")).toEqual(["6: notify stopped-early"]);
  expect(lines.at(-1)).toBe("6: finish completed");
  expect(lines).toContain("6: checkpoint");
  expect(run.state.steps).toBe(6);
  const [other] = [afterEpochs([1, 0.5], { stopEarly: { patience: 1, threshold: 0 } }).run];
  other.finishWork();
  const sums = { loss: 6, correct: 4, samples: 6 };
  const told = other.told({ type: "committed", sums, finite: true, isAsAdvanced: false });
  expect(told.at(-1)).toEqual({ type: "stopped-early", step: 3, figure: "testLoss", best: 0.5 });
});

it("does not wait for less than the threshold's share: of the best loss, or of the best accuracy", () => {
  const stopEarly = { patience: 2, threshold: 0.3 };
  const stopsBy = (losses: readonly number[], correct: readonly number[], monitor: Settings["monitor"]): string[] =>
    having(afterEpochs(losses, { stopEarly, monitor }, correct).lines, "stopped-early");
  const stopped = ["3: notify stopped-early"];
  const same = [1, 1, 1];
  expect(stopsBy([1, 0.9, 0.8], [], "testLoss")).toEqual(stopped);
  expect(stopsBy([1, 0.9, 0.6], [], "testLoss")).toEqual([]);
  expect(stopsBy(same, [4, 4.5, 5], "testAccuracy")).toEqual(stopped);
  expect(stopsBy(same, [4, 5, 6], "testAccuracy")).toEqual([]);
});

it("takes no loss below zero for better that is worse, or better by less than the threshold's share", () => {
  const stopEarly = { patience: 2, threshold: 0.3 };
  const stops = (losses: readonly number[]): string[] =>
    having(afterEpochs(losses, { stopEarly }).lines, "stopped-early");
  expect(stops([-1, -0.9, -0.8])).toEqual(["3: notify stopped-early"]);
  expect(stops([-1, -1.1, -1.2])).toEqual(["3: notify stopped-early"]);
  expect(stops([-1, -1.1, -1.4])).toEqual([]);
});

it("goes on from a checkpoint with what it has waited so far", () => {
  const changes = { stopEarly: { patience: 2, threshold: 0 }, trainSamples: 8, epochs: 100 };
  const { run } = afterEpochs([1, 1.5], changes);
  const { steps } = run.state;
  const steering = JSON.parse(JSON.stringify(run.state.steering));
  const resumed = new CoordinatorTrace(changes, { steps, steering });
  resumed.join("a");
  resumed.finishWork();
  expect(resumed.finishWork(6)).toContain("finish completed");
  // Resumed once more, it is over.
  const again = new CoordinatorTrace(changes, { steps: 3, steering: resumed.state.steering });
  expect(again.connect("a")).toContain("finish completed");
});

it("keeps the best, by the figure that is watched", () => {
  const byLoss = afterEpochs([1, 0.5, 0.75, 0.25], { keepBest: true });
  expect(having(byLoss.lines, "keep-best").map((line) => line[0])).toEqual(["1", "2", "4"]);
  expect(byLoss.run.state.steering.watch.best).toEqual({ value: 0.25, step: 4 });
  // The accuracy is always 4 of 6.
  const byAccuracy = afterEpochs([1, 0.5, 0.75, 0.25], { keepBest: true, monitor: "testAccuracy" });
  expect(having(byAccuracy.lines, "keep-best").map((line) => line[0])).toEqual(["1"]);
});

it("watches the training loss where there is no test data", () => {
  const run = new CoordinatorTrace({
    trainSamples: 8,
    testSamples: 0,
    epochs: 100,
    monitor: "loss",
    stopEarly: { patience: 1, threshold: 0 },
  });
  run.join("a");
  expect(run.finishWork(8)).toContain("open train 1");
  expect(run.finishWork(4)).toContain("open train 2");
  expect(run.finishWork(4)).toContain("finish completed");
});
