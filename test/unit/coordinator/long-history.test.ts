import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it, onTestFinished, vi } from "vitest";
import { RunHistory } from "../../../coordinator/dashboard/history.ts";
import { readHistory } from "../../../coordinator/dashboard/read-run.ts";
import { temporaryFolder } from "../../support/files.ts";

it("a long run's history is read a little at a time: what the process has to do meanwhile is done between", async () => {
  const steps = 20_000;
  const run = await temporaryFolder();
  const lines = Array.from({ length: steps }, (_, index) => ({ type: "step", step: index + 1, epoch: 1, loss: 0.25 }));
  await writeFile(join(run, "metrics.jsonl"), lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  const taken = vi.spyOn(RunHistory.prototype, "stepTaken");
  onTestFinished(() => void vi.restoreAllMocks());
  let [before, most] = [0, 0];
  const measure = (): void => {
    most = Math.max(most, taken.mock.calls.length - before);
    before = taken.mock.calls.length;
  };
  const look = (): void => {
    measure();
    next = setImmediate(look);
  };
  let next = setImmediate(look);
  const { history } = await readHistory(run);
  clearImmediate(next);
  measure();
  expect(history.progress?.step).toBe(steps);
  expect(most).toBeLessThan(steps / 5);
});
