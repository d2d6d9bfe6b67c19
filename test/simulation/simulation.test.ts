/** Lockstep's promise under simulated failures: `npm run simulate` runs any number of schedules. */
import { expect, test } from "vitest";
import { linesOf } from "./schedule.ts";
import type { Fault, Schedule } from "./schedule.ts";
import { scheduleOf } from "./seeds.ts";
import { check } from "./simulate.ts";

const SEEDS = 2_000;

test(`${SEEDS} schedules end in the undisturbed run's bits`, async () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    await check(scheduleOf(seed)).catch((cause: unknown) => {
      throw new Error(`${linesOf(scheduleOf(seed)).join("\n")}\nnpm run simulate -- --from ${seed} --seeds 1 --trace`, {
        cause,
      });
    });
  }
}, 180_000);

/** A schedule written by hand: workers a, b, … of one thread, 40 ms a sample. */
const schedule = (names: string, faults: readonly Fault[], changes: Partial<Schedule> = {}): Schedule => ({
  seed: 1,
  minWorkers: 1,
  checkpointSteps: 2,
  workers: names.split(" ").map((name) => ({ name, threads: 1, pace: 40, joinsAt: 0 })),
  faults,
  ...changes,
});

test("a seed tells the same story every time", async () => {
  const tell = async (seed: number): Promise<string[]> => {
    const lines: string[] = [];
    await check(scheduleOf(seed), { tell: (line) => lines.push(line) });
    return lines;
  };
  for (const seed of [3, 4, 5]) expect(await tell(seed)).toEqual(await tell(seed));
});

test("a coordinator killed again and again goes on from its last checkpoint", async () => {
  const faults = [1500, 3000, 4500, 6000].map(
    (at) => ({ at, kind: "kill coordinator", back: 200, silently: false }) as const,
  );
  const lines: string[] = [];
  await check(schedule("a b c", faults), { tell: (line) => lines.push(line) });
  expect(lines.filter((line) => line.includes("starts from checkpoint")).length).toBeGreaterThan(1);
});

test("a torn checkpoint is passed over", async () => {
  const lines: string[] = [];
  const faults: Fault[] = [
    { at: 2_000, kind: "disk", how: "tears", for: 1_000 },
    { at: 2_800, kind: "kill coordinator", back: 200, silently: false },
  ];
  await check(schedule("a b c", faults), { tell: (line) => lines.push(line) });
  expect(lines.join("\n")).toMatch(/is damaged[^]*starts from checkpoint 2/);
});

test("a worker frozen while it joins is taken when it wakes", async () => {
  const faults: Fault[] = [
    { at: 0, kind: "slow link", who: "a", for: 1_000 },
    { at: 10, kind: "pause", who: "a", for: 20_000 },
  ];
  const lines: string[] = [];
  await check(schedule("a", faults), { tell: (line) => lines.push(line) });
  expect(lines.join("\n")).toContain("HANDSHAKE_TIMEOUT");
});
