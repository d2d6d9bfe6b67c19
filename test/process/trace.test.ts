/** The trace of real runs: every step in it, by the names that are documented, no slice over another, and no bit changed. */
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolder } from "../support/files.ts";
import { asEvents, lockstep } from "../support/lockstep.ts";
import type { Lockstep } from "../support/lockstep.ts";
import { writeMnistPart } from "../support/mnist.ts";
import { slicesIn } from "../support/trace-events.ts";
import type { Slice } from "../support/trace-events.ts";

interface Place {
  readonly folder: string;
  readonly train: (name: string, ...more: string[]) => Lockstep;
}

/** 600 digits, 10 steps an epoch, and as many to evaluate by both workers. */
async function place(): Promise<Place> {
  const folder = await temporaryFolder();
  await writeMnistPart(join(folder, "digits"), 600, 600);
  const words = "train --data digits --layers 784,16,10 --batch 60 --epochs 3 --workers 2 --name".split(" ");
  return { folder, train: (name, ...more) => lockstep([...words, name, ...asEvents, ...more], folder) };
}

const stepsOf = (slices: readonly Slice[]): Set<string> => new Set(slices.map(({ step }) => step));
const namesIn = (slices: readonly Slice[]): string[] => [...new Set(slices.map(({ name }) => name))].toSorted();

function expectNoOverlap(lanes: ReadonlyMap<string, readonly Slice[]>): void {
  for (const [lane, slices] of lanes)
    slices.forEach(({ begin, end, step, name }, index) => {
      expect(end, `${lane}, ${step}: ${name} has a length`).toBeGreaterThan(begin);
      const before = slices[index - 1] ?? { name: "nothing", end: -Infinity };
      expect(begin, `${lane}, ${step}: ${name} is behind ${before.name}`).toBeGreaterThanOrEqual(before.end);
    });
}

/** All steps and, after each epoch, the evaluation. */
const everyStep = new Set([...Array.from({ length: 30 }, (_, index) => `step ${index + 1}`), "evaluation"]);

test("every step of two workers is in the file, thread by thread, and the bits are those of a run that is not traced", async () => {
  const { folder, train } = await place();
  const { parametersSha256, testLoss } = await train("plain").result();
  const traced = train("traced", "--trace");
  expect(await traced.result()).toMatchObject({ parametersSha256, testLoss });
  expect((await traced.finished).stderr).toBe("");
  expect((await traced.event("tracing")).file).toBe(join("runs", "traced", "trace.json"));
  expect(await readdir(join(folder, "runs", "plain"))).not.toContain("trace.json");

  const lanes = slicesIn(await readFile(join(folder, "runs", "traced", "trace.json"), "utf8"));
  expectNoOverlap(lanes);
  const workers = ["worker-1", "worker-2"];
  // Who evaluates depends on who is fast.
  const evaluators = workers.filter((worker) => lanes.has(`${worker}, main`));
  expect(evaluators).not.toEqual([]);
  expect([...lanes.keys()].toSorted()).toEqual([
    "coordinator, main",
    "coordinator, steps",
    ...[...evaluators.map((worker) => `${worker}, main`), ...workers.map((worker) => `${worker}, thread 1`)].toSorted(),
  ]);
  expect(lanes.get("coordinator, steps")!.map(({ name }) => name)).toHaveLength(33);
  expect(namesIn(lanes.get("coordinator, main")!)).toEqual(["receive", "reduce", "send", "update", "wait"]);
  const computed = new Set<string>();
  for (const worker of workers) {
    const slices = lanes.get(`${worker}, thread 1`)!;
    expect(namesIn(slices)).toEqual(["announce", "compute", "gather", "wait"]);
    const steps = stepsOf(slices.filter(({ name }) => name === "compute"));
    for (const step of steps) computed.add(step);
    const evaluates = evaluators.includes(worker);
    expect(steps.has("evaluation")).toBe(evaluates);
    // Sums of an evaluation go over the socket also on one host.
    expect(stepsOf(lanes.get(`${worker}, main`) ?? [])).toEqual(new Set(evaluates ? ["evaluation"] : []));
  }
  // One that is slow for as long as it is measured may have no share of the later ones.
  expect(computed).toEqual(everyStep);
  // Whatever the clocks say, sums come before the update that is made of them.
  const updates = new Map(
    lanes
      .get("coordinator, main")!
      .filter(({ name }) => name === "update")
      .map((each) => [each.step, each]),
  );
  expect(new Set(updates.keys())).toEqual(everyStep);
  const sums = lanes.get("worker-1, thread 1")!.filter(({ name, step }) => name === "compute" && step !== "evaluation");
  for (const { step, end } of sums) expect(end, step).toBeLessThan(updates.get(step)!.end);
}, 300_000);

test("over sockets the worker's main thread shows what it receives, encodes and sends", async () => {
  const { folder, train } = await place();
  const { parametersSha256 } = await train("plain", "--threads", "2").result();
  const options = ["--shared-memory", "off", "--threads", "2", "--trace", "where.json"];
  expect(await train("sockets", ...options).result()).toMatchObject({ parametersSha256 });
  const lanes = slicesIn(await readFile(join(folder, "where.json"), "utf8"));
  expectNoOverlap(lanes);
  for (const worker of ["worker-1", "worker-2"]) {
    const main = lanes.get(`${worker}, main`)!;
    expect(namesIn(main)).toEqual(["encode", "receive", "send"]);
    const received = stepsOf(main.filter(({ name }) => name === "receive"));
    // The step behind an evaluation has the parameters already.
    const behind = new Set(["step 11", "step 21"]);
    expect(received).toEqual(new Set([...everyStep].filter((step) => !behind.has(step))));
    expect(stepsOf(main)).toEqual(everyStep);
    const threads = [...lanes].filter(([lane]) => lane.startsWith(`${worker}, thread `));
    expect(threads).toHaveLength(2);
    for (const [, slices] of threads) expect(namesIn(slices)).toEqual(["compute", "gather", "wait"]);
  }
}, 300_000);

test("where parameters travel in buckets a step is computed in stages, with a wait before those that need more of them", async () => {
  const { folder, train } = await place();
  const options = ["--layers", "784,512,512,10", "--epochs", "1", "--shared-memory", "off", "--trace", "wide.json"];
  await train("wide", ...options).result();
  const lanes = slicesIn(await readFile(join(folder, "wide.json"), "utf8"));
  expectNoOverlap(lanes);
  // Whichever thread a worker computes on, it is one.
  const threads = [...lanes].filter(([lane]) => /^worker-[12], thread [01]$/.test(lane));
  expect(threads).toHaveLength(2);
  const slices = threads.flatMap(([, each]) => each);
  for (const step of ["step 5", "step 9"]) {
    const names = slices.filter((slice) => slice.step === step).map(({ name }) => name);
    // Two buckets: with the first, with both, and behind the gradients of the second; by each worker that has a share.
    expect(names.filter((name) => name === "compute").length % 3, names.join(" ")).toBe(0);
    expect(names).toContain("compute");
  }
}, 300_000);

test("a killed run leaves a file that can be read, and the next start writes another", async () => {
  const { folder, train } = await place();
  const words = ["--epochs", "5000", "--trace"];
  const killed = train("killed", ...words);
  await killed.event("step", ({ step }) => step > 30);
  const first = join(folder, "runs", "killed", "trace.json");
  await expect.poll(() => readFile(first, "utf8")).toContain("step 30");
  killed.killAll();
  await killed.finished;
  const text = await readFile(first, "utf8");
  expect(() => JSON.parse(text) as unknown).toThrow(SyntaxError);
  const lanes = slicesIn(text);
  expectNoOverlap(lanes);
  expect(lanes.get("coordinator, steps")!.length).toBeGreaterThan(29);

  const again = train("killed", ...words, "--continue");
  expect((await again.event("tracing")).file).toBe(join("runs", "killed", "trace-2.json"));
  expect(await readFile(first, "utf8")).toBe(text);
}, 300_000);

test("a file that is there is not overwritten, such as the config behind --trace", async () => {
  const { folder, train } = await place();
  await writeFile(join(folder, "job.yaml"), "epochs: 1\n");
  const { code, error } = await train("none", "--trace", "job.yaml").finished;
  expect(code).toBe(2);
  expect(error).toMatch(
    /^error: --trace: found job.yaml, which exists already, .*\[CONFIG_INVALID\]\n {2}what to do: .* lockstep train lockstep.yaml --trace$/m,
  );
  expect(await readFile(join(folder, "job.yaml"), "utf8")).toBe("epochs: 1\n");
  expect(await readdir(folder)).not.toContain("runs");
}, 300_000);
