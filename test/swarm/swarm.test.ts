/** 200 workers at a time, of which some leave, are killed and join: every step is taken, and the bits are one worker's. */
import { expect, onTestFinished, test } from "vitest";
import { temporaryFolder } from "../support/files.ts";
import { STEPS_PER_EPOCH } from "./job.ts";
import { growthOf, problemsOf } from "./judge.ts";
import type { Held, Measurement } from "./measurement.ts";
import { runAlone, runSwarm } from "./swarm.ts";

test("200 light workers that come and go end in the bits of one, and memory stays flat", async () => {
  const cleanUp = new AsyncDisposableStack();
  const place = { folder: await temporaryFolder(), cleanUp };
  onTestFinished(() => cleanUp.disposeAsync());
  const [workers, epochs] = [200, 40];
  const report = await runSwarm(place, { workers, processes: 4, epochs, rounds: 12, sharedMemory: true, seed: 1 });
  const alone = await runAlone(place, epochs);
  expect(problemsOf(report, alone, { workers, steps: epochs * STEPS_PER_EPOCH })).toEqual([]);
  expect(growthOf(report.measurements)).toEqual([]);
  // Those of the killed process, and some in every other round.
  expect(report.lost.left).toBeGreaterThanOrEqual(11);
  expect(report.lost.otherwise).toBeGreaterThanOrEqual(workers / 4 + 11);
  expect(report.joined).toBeGreaterThanOrEqual(workers + report.lost.left + report.lost.otherwise);
}, 300_000);

test("what grows from the second quarter to the last is found, and what grows while warming up is not", () => {
  const megabytes = (count: number): number => count * 2 ** 20;
  const steady = { inUse: megabytes(100), resident: megabytes(500), descriptors: 400 };
  const measured = (changed: Partial<Pick<Measurement, "coordinator" | "fleet">>): Measurement => ({
    step: 1,
    workers: 200,
    processor: 1,
    coordinator: steady,
    fleet: steady,
    ...changed,
  });
  const growth = (figure: keyof Held, ...course: readonly number[]): string[][] =>
    (["coordinator", "fleet"] as const).map((who) =>
      growthOf(course.map((value) => measured({ [who]: { ...steady, [figure]: value } }))),
    );
  expect(growth("inUse", 60e6, 70e6, 100e6, 101e6, 102e6, 101e6, 102e6, 104e6)).toEqual([[], []]);
  expect(growth("inUse", 60e6, 70e6, 100e6, 101e6, 102e6, 103e6, 104e6, 105e6)).toEqual([
    ["the coordinator's memory in use grew from 101000000 to 105000000"],
    ["the workers' memory in use grew from 101000000 to 105000000"],
  ]);
  expect(growth("resident", 60e6, 70e6, 200e6, 200e6, 200e6, 230e6, 300e6, 410e6)).toEqual([
    ["the coordinator's resident memory grew from 200000000 to 410000000"],
    [],
  ]);
  expect(growth("descriptors", 300, 300, 410, 410, 420, 430, 427, 427)).toEqual([
    ["the coordinator's open files grew from 410 to 427"],
    ["the workers' open files grew from 410 to 427"],
  ]);
});
