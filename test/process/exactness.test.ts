/** The promise, with real processes: the same bits however many workers take part and whatever is killed. */
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolder } from "../support/files.ts";
import { asEvents, lockstep, worker } from "../support/lockstep.ts";
import type { Lockstep } from "../support/lockstep.ts";
import { writeMnistPart } from "../support/mnist.ts";

// 4,001 samples in batches of 96: the last batch has 65, so shards are uneven; 7 shards make an odd tree. Adam has state,
// and dropout draws masks. There are 840 steps, so that what is killed early has not ended by then.
const job = `
data: { idx: data }
runs: RUNS
model:
  layers:
    - dense: { units: 48, activation: relu }
    - dropout: 0.1
    - dense: 10
optimizer: { adam: { learningRate: 0.002 } }
batch: 96
shards: 7
epochs: 20
seed: 5
checkpoint: { everySteps: 20 }
`;

interface Place {
  readonly runs: string;
  readonly config: string;
}

async function place(): Promise<Place> {
  const folder = await temporaryFolder();
  const runs = join(folder, "runs");
  const config = join(folder, "job.yaml");
  await writeMnistPart(join(folder, "data"), 4001, 700);
  await writeFile(config, job.replace("RUNS", runs));
  return { runs, config };
}

const train = ({ config }: Place, name: string, workers: number, ...more: string[]): Lockstep =>
  lockstep(["train", config, "--name", name, "--workers", `${workers}`, ...asEvents, ...more]);

const resume = ({ runs }: Place, name: string): Lockstep =>
  lockstep(["train", "--resume", name, "--runs", runs, ...asEvents]);

const hashOf = async (run: Lockstep): Promise<string> => (await run.result()).parametersSha256;

test("1, 2, 3 and 5 workers, several threads, sockets alone, and a worker killed mid-epoch end in the same bits", async () => {
  const where = await place();
  const undisturbed = train(where, "one", 1);
  const hash = await hashOf(undisturbed);
  const { testAccuracy } = await undisturbed.result();
  for (const workers of [2, 3, 5]) expect(await hashOf(train(where, `with-${workers}`, workers))).toBe(hash);
  expect(await hashOf(train(where, "threads", 2, "--threads", "3"))).toBe(hash);
  const overSockets = train(where, "sockets", 2, "--shared-memory", "off");
  expect(await hashOf(overSockets)).toBe(hash);
  expect((await overSockets.result()).profile.bytesShared).toBe(0);
  expect((await undisturbed.result()).profile.bytesShared).toBeGreaterThan(0);

  const disturbed = train(where, "killed", 2);
  await disturbed.event("step", ({ step }) => step >= 60);
  process.kill(disturbed.children()[0]!, "SIGKILL");
  await disturbed.event("worker-lost");
  const result = await disturbed.result();
  expect(result.parametersSha256).toBe(hash);
  expect(result.testAccuracy).toBe(testAccuracy);
  // Another seed gives other bits, so the hash is not blind.
  expect(await hashOf(train(where, "seed", 2, "--seed", "6"))).not.toBe(hash);
}, 300_000);

test("wide layers, whose parameters and gradients travel in buckets, end in the bits they have where nothing travels", async () => {
  const where = await place();
  const wide = (name: string, workers: number, ...more: string[]): Lockstep =>
    train(where, name, workers, "--layers", "784,512,512,10", "--epochs", "1", ...more);
  const hash = await hashOf(wide("shared", 2));
  const overSockets = ["--shared-memory", "off"];
  for (const workers of [1, 3]) expect(await hashOf(wide(`with-${workers}`, workers, ...overSockets))).toBe(hash);
  expect(await hashOf(wide("threads", 2, "--threads", "2", ...overSockets))).toBe(hash);

  const disturbed = wide("killed", 2, ...overSockets);
  await disturbed.event("step", ({ step }) => step >= 10);
  process.kill(disturbed.children()[0]!, "SIGKILL");
  await disturbed.event("worker-lost");
  expect(await hashOf(disturbed)).toBe(hash);
}, 300_000);

test("a run of which everything is killed mid-epoch resumes to the same bits, and so does one stopped with Ctrl-C", async () => {
  const where = await place();
  const hash = await hashOf(train(where, "whole", 2));

  const killed = train(where, "killed", 2);
  await killed.event("checkpoint", ({ step }) => step >= 40);
  killed.killAll();
  await killed.finished;
  const resumed = resume(where, "killed");
  const { resumedAt } = await resumed.event("listening");
  expect(resumedAt).toBeGreaterThanOrEqual(40);
  expect(await hashOf(resumed)).toBe(hash);

  const stopped = train(where, "stopped", 2);
  await stopped.event("step", ({ step }) => step >= 50);
  stopped.process.kill("SIGINT");
  expect((await stopped.result()).outcome).toBe("stopped");
  expect((await stopped.finished).code).toBe(0);
  expect(await hashOf(resume(where, "stopped"))).toBe(hash);

  // What is complete is said again, and no worker is started for it.
  const complete = resume(where, "stopped");
  expect((await complete.result()).parametersSha256).toBe(hash);
  const { code, stdout, stderr } = await complete.finished;
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).toContain("completed: nothing was left to do");
  expect(stdout).not.toContain("worker-");
}, 300_000);

test("workers that join, leave in good order and are frozen change nothing; the frozen one's shards go to others", async () => {
  const where = await place();
  // Long enough that workers can come and go.
  const long = ["--epochs", "120"];
  const hash = await hashOf(train(where, "whole", 2, ...long));
  const coordinator = lockstep(["coordinator", where.config, "--name", "elastic", ...asEvents, ...long]);
  const { url } = await coordinator.event("listening");
  const first = worker([url, "--name", "first"]);
  await coordinator.event("step", ({ step }) => step >= 20);
  const second = worker([url, "--name", "second"]);
  await coordinator.event("step", ({ workers }) => workers === 2);
  first.process.kill("SIGTERM");
  expect((await first.finished).code).toBe(0);
  const third = worker([url, "--name", "third"]);
  await coordinator.event("step", ({ workers, step }) => workers === 2 && step > 40);
  second.process.kill("SIGSTOP");
  const result = await coordinator.result();
  expect(coordinator.events.filter(({ type }) => type === "worker-joined")).toHaveLength(3);
  second.process.kill("SIGCONT");
  expect(result.parametersSha256).toBe(hash);
  expect((await third.finished).code).toBe(0);
  expect(existsSync(join(where.runs, "elastic", "model.onnx"))).toBe(true);
}, 300_000);
