/** Lockstep's promise under simulated failures: `npm run simulate` runs any number of schedules. */
import { expect, test } from "vitest";
import { linesOf } from "./schedule.ts";
import type { Fault, Schedule, WorkerPart } from "./schedule.ts";
import { scheduleOf } from "./seeds.ts";
import { check } from "./simulate.ts";

const SEEDS = 2_000;

test(`${SEEDS} schedules end in the undisturbed run's bits`, async () => {
  const hashes = new Set<string>();
  for (let seed = 1; seed <= SEEDS; seed++) {
    const { hash } = await check(scheduleOf(seed)).catch((cause: unknown) => {
      throw new Error(`${linesOf(scheduleOf(seed)).join("\n")}\nnpm run simulate -- --from ${seed} --seeds 1 --trace`, {
        cause,
      });
    });
    hashes.add(hash);
  }
  expect(hashes.size).toBe(1);
}, 300_000);

/** A schedule written by hand: workers a, b, … of one thread, 40 ms a sample. */
const schedule = (names: string, faults: readonly Fault[], changes: Partial<Schedule> = {}): Schedule => ({
  seed: 1,
  minWorkers: 1,
  checkpointSteps: 2,
  audit: 0,
  referee: false,
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
  const faults = [2500, 4500, 6500, 8500].map(
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

test("an evaluation that a stopped run owes is told once, also where it is made again as no checkpoint has held it", async () => {
  const faults: Fault[] = [
    { at: 0, kind: "abandon", back: 200 },
    { at: 2_500, kind: "disk", how: "loses", for: 1_600 },
    { at: 4_000, kind: "kill coordinator", back: 200, silently: false },
  ];
  const lines: string[] = [];
  await check(schedule("a b c", faults), { tell: (line) => lines.push(line) });
  const twice =
    /from checkpoint 4, which owes[^]*"epoch","epoch":1[^]*checkpoint 6 loses[^]*from checkpoint 4, which owes/;
  expect(lines.join("\n")).toMatch(twice);
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

test("a worker of the coordinator's host that is cut off for some steps finds what it is sent written over, and goes on", async () => {
  const lines: string[] = [];
  // While the parameters of step 2 are on their way to it.
  const faults: Fault[] = [{ at: 1_440, kind: "partition", who: ["c3"], for: 4_000 }];
  await check(schedule("a b c3", faults), { tell: (line) => lines.push(line) });
  expect(lines.join("\n")).toMatch(/c3 ← parameters 2\n[^]*c3 → damaged 2\n[^]*c3 → partial/);
  expect(lines.filter((line) => line.includes("worker-lost"))).toEqual([]);
});

/** What a schedule with a liar, a, tells. */
async function tellOfLiar(
  names: string,
  lies: Required<WorkerPart>["lies"],
  changes: Partial<Schedule> = {},
): Promise<string> {
  const lines: string[] = [];
  const honest = schedule(names, [], changes);
  const workers = honest.workers.map((part) => (part.name === "a" ? { ...part, lies } : part));
  await check({ ...honest, workers }, { tell: (line) => lines.push(line) });
  return lines.join("\n");
}

test("a worker that sends wrong bits is quarantined under audit, by the coordinator's engine or by a third worker", async () => {
  const quarantined = /"quarantined","worker":"a"/;
  expect(await tellOfLiar("a b", "bit", { audit: 1, referee: true })).toMatch(quarantined);
  expect(await tellOfLiar("a b c", "bit", { audit: 1 })).toMatch(quarantined);
});

test("a worker that sends no numbers is quarantined without audit", async () => {
  expect(await tellOfLiar("a b", "nan", { referee: true })).toMatch(/"quarantined","worker":"a"/);
  expect(await tellOfLiar("a b c", "nan")).toMatch(/"quarantined","worker":"a"/);
});

test("so is one of which a metric alone is no number", async () => {
  expect(await tellOfLiar("a b c", "last")).toMatch(/"quarantined","worker":"a"/);
});

test("where two differ and nobody can tell, the step waits for a third", async () => {
  const two = schedule("a b", [], { audit: 1 });
  const lines: string[] = [];
  const workers = [
    { ...two.workers[0]!, lies: "bit" as const },
    two.workers[1]!,
    { ...two.workers[1]!, name: "c", joinsAt: 30_000 },
  ];
  await check({ ...two, workers }, { tell: (line) => lines.push(line) });
  expect(lines.join("\n")).toMatch(
    /one more worker has to decide[^]*c joins|one more worker has to decide[^]*"worker":"c"/,
  );
});
