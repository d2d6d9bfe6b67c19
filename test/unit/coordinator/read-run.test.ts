/** What a run's folder tells of a run that goes on elsewhere: steps are in metrics.jsonl, which says nothing of its state. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { readHistory, stateOf } from "../../../coordinator/dashboard/read-run.ts";
import type { RunEvent } from "../../../coordinator/events.ts";
import { lockRun } from "../../../coordinator/run-folder/lock.ts";
import { temporaryFolder } from "../../support/files.ts";

const listening = {
  type: "listening",
  url: "ws://127.0.0.1:7000",
  folder: "runs/here",
  parameters: 9,
  frozen: 0,
  steps: 10,
  resumedAt: undefined,
} as const;
const waiting = { type: "waiting", workers: 0, needed: 2 } as const;
const first = { type: "worker-joined", worker: "anna", workers: 1 } as const;
const second = { type: "worker-joined", worker: "bert", workers: 2 } as const;
const gone = { type: "worker-lost", worker: "bert", reason: "killed", reassigned: 0, workers: 1 } as const;
const paused = { type: "paused", step: 3 } as const;
const resumed = { type: "resumed", step: 3 } as const;
const epoch = {
  type: "epoch",
  epoch: 1,
  epochs: 2,
  loss: 1,
  accuracy: undefined,
  testLoss: undefined,
  testAccuracy: undefined,
  testFigures: undefined,
  seconds: 1,
} as const;

/** The state of a run in whose folder these events are, while a coordinator has it or not. */
async function stateAfter(events: readonly RunEvent[], isGoingOn: boolean): Promise<string> {
  const folder = await temporaryFolder();
  const lines = events.map((event, at) => `${JSON.stringify({ at, ...event })}\n`);
  await writeFile(join(folder, "events.jsonl"), lines.join(""));
  if (isGoingOn) onTestFinished((await lockRun(folder)).release);
  return stateOf(folder, (await readHistory(folder)).history);
}

describe("a run", () => {
  it.each<{ what: string; events: RunEvent[]; state: string }>([
    { what: "has begun", events: [listening, waiting], state: "waiting" },
    { what: "has some of its workers", events: [listening, waiting, first], state: "waiting" },
    { what: "has all its workers", events: [listening, waiting, first, second], state: "running" },
    { what: "began with fewer", events: [listening, waiting, first, epoch], state: "running" },
    { what: "lost too many", events: [listening, waiting, first, second, epoch, gone, waiting], state: "waiting" },
    { what: "has them again", events: [listening, waiting, first, second, gone, waiting, second], state: "running" },
    { what: "is paused", events: [listening, waiting, first, second, paused], state: "paused" },
    { what: "is paused when one joins", events: [listening, waiting, first, paused, second, epoch], state: "paused" },
    { what: "goes on", events: [listening, waiting, first, second, paused, resumed], state: "running" },
    { what: "was started again", events: [listening, waiting, first, second, listening], state: "waiting" },
  ])("that $what is $state", async ({ events, state }) => {
    expect(await stateAfter(events, true)).toBe(state);
    expect(await stateAfter(events, false)).toBe("interrupted");
  });
});
