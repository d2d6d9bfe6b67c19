/**
 * `npm run soak`: real processes, disturbed for a while, then undisturbed to the same bits. A run that completes goes on with more
 * epochs until the time is over.
 */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { randomStream } from "../../shared/random.ts";
import { mistake, optionsFrom } from "../support/command-line.ts";
import { asEvents, Lockstep } from "../support/lockstep-process.ts";
import { writeMnistPart } from "../support/mnist.ts";
import { freePort } from "../support/ports.ts";

const help = `npm run soak -- [options]

A real coordinator and three workers train while every few seconds one of them is killed, frozen or asked to leave. Then
the same run is done undisturbed. Ends with 0 only if parameters, losses and figures are the same to the last bit.

  --minutes M   of disturbance (2)
  --seed N      decides what happens when (1)

  npm run soak -- --minutes 60 --seed 7`;
const values = optionsFrom(help, {
  minutes: { type: "string", default: "2" },
  seed: { type: "string", default: "1" },
});
const minutes = Number(values.minutes);
if (!(minutes > 0) || !Number.isSafeInteger(Number(values.seed)))
  mistake(help, "--minutes wants a number above 0, --seed a whole number");
const random = randomStream(Number(values.seed), "simulation");
let drawn = 0;
const below = (count: number): number => Math.floor(count * random.uniform(drawn++));

const folder = await mkdtemp(join(tmpdir(), "lockstep-soak-"));
const runs = join(folder, "runs");
const config = join(folder, "job.yaml");
await writeMnistPart(join(folder, "data"), 6_007, 500);
const job = (epochs: number): string => `
data: { idx: data }
runs: ${runs}
model: { layers: [{ dense: { units: 32, activation: relu } }, { dropout: 0.1 }, { dense: 10 }] }
optimizer: { adam: { learningRate: 0.001 } }
batch: 90
shards: 7
epochs: ${epochs}
checkpoint: { everySeconds: 2 }
evaluateEvery: 5
audit: 0.02
`;
const train = (name: string): Lockstep =>
  new Lockstep("coordinator/cli/main.ts", ["train", config, "--name", name, "--workers", "2", ...asEvents]);

/** One line of metrics.jsonl a step or epoch, without what may differ: times and workers. */
async function figures(name: string): Promise<string[]> {
  const text = await readFile(join(runs, name, "metrics.jsonl"), "utf8");
  return text
    .trimEnd()
    .split("\n")
    .map((line) => {
      const { type, step, epoch, loss, accuracy, testLoss, testAccuracy } = JSON.parse(line) as Record<string, unknown>;
      return JSON.stringify({ type, step, epoch, loss, accuracy, testLoss, testAccuracy });
    });
}

// Epochs for a minute undisturbed, or a quarter of the time if that is less, after which the run is over or gets as many again: a
// multiple of evaluateEvery, as the last epoch is evaluated in any case.
const calibrationEpochs = 60;
await writeFile(config, job(calibrationEpochs));
const { seconds } = await train("calibration").result();
const stretch = 5 * Math.ceil((60 * Math.min(1, minutes / 4) * calibrationEpochs) / seconds / 5);
let epochs = stretch;
await writeFile(config, job(epochs));
console.log(`soak of ${minutes} min, seed ${values.seed}: ${stretch} epochs at a time`);

const port = await freePort();
const again = ["--name", "disturbed", "--port", `${port}`, "--continue", ...asEvents];
const startCoordinator = (): Lockstep => new Lockstep("coordinator/cli/main.ts", ["coordinator", config, ...again]);
const startWorker = (name: string): Lockstep =>
  new Lockstep("worker/main.ts", [`ws://127.0.0.1:${port}`, "--name", name]);

const started = performance.now();
const elapsed = (): string => `${((performance.now() - started) / 60_000).toFixed(1)} min`;
let coordinator = startCoordinator();
const workers = new Map(["a", "b", "c"].map((name) => [name, startWorker(name)]));
const counts = { "coordinator killed": 0, "worker killed": 0, "worker frozen": 0, "worker left": 0 };
const isOver = (): boolean => coordinator.events.some(({ type }) => type === "finished");

async function disturb(): Promise<void> {
  const name = ["a", "b", "c"][below(3)]!;
  const worker = workers.get(name)!;
  const what = below(10);
  if (what === 0) {
    counts["coordinator killed"] += 1;
    coordinator.killAll();
    await coordinator.finished;
    coordinator = startCoordinator();
    return;
  }
  if (what <= 2) {
    counts["worker frozen"] += 1;
    worker.process.kill("SIGSTOP");
    setTimeout(() => worker.process.kill("SIGCONT"), 1_000 + below(4_000));
    return;
  }
  if (what <= 4) {
    counts["worker left"] += 1;
    worker.process.kill("SIGTERM");
  } else {
    counts["worker killed"] += 1;
    worker.killAll();
  }
  await worker.finished;
  workers.set(name, startWorker(name));
}

/** The run is over before the time is: it gets more epochs, and workers again. */
async function goOn(): Promise<void> {
  await coordinator.finished;
  epochs += stretch;
  await writeFile(config, job(epochs));
  coordinator = startCoordinator();
  for (const [name, worker] of workers) {
    // One that missed the end would look for a coordinator for minutes.
    worker.killAll();
    await worker.finished;
    workers.set(name, startWorker(name));
  }
}

try {
  let said = 0;
  for (;;) {
    await sleep(1_000 + below(3_000));
    if (isOver()) {
      if (performance.now() - started > 60_000 * minutes) break;
      await goOn();
    }
    await disturb();
    const step = coordinator.events.findLast((event) => event.type === "step");
    if (performance.now() - said > 30_000 && step !== undefined) {
      said = performance.now();
      console.log(`${elapsed()}: step ${step.step}/${step.steps}; ${JSON.stringify(counts)}`);
    }
  }
  const disturbed = await coordinator.result();
  console.log(`disturbed run ended after ${elapsed()}: ${JSON.stringify(counts)}`);
  const undisturbed = await train("undisturbed").result();
  const [lines, expected] = [await figures("disturbed"), await figures("undisturbed")];
  const differing = expected.findIndex((line, index) => line !== lines[index]);
  const sameFigures = differing === -1 && lines.length === expected.length;
  const sameHash = disturbed.parametersSha256 === undisturbed.parametersSha256;
  console.log(
    `${undisturbed.steps} steps; parameters sha256 ${disturbed.parametersSha256}, undisturbed ${undisturbed.parametersSha256}`,
  );
  console.log(`${lines.length} lines of figures${sameFigures ? ", all equal" : `, line ${differing + 1} differs`}`);
  if (!sameFigures) {
    for (const [name, all] of Object.entries({ undisturbed: expected, disturbed: lines })) {
      console.log(`${name}:\n  ${all.slice(Math.max(0, differing - 2), differing + 3).join("\n  ")}`);
    }
  }
  console.log(sameHash && sameFigures ? "soak passed: the same bits" : "soak FAILED");
  process.exitCode = sameHash && sameFigures ? 0 : 1;
} finally {
  for (const each of [coordinator, ...workers.values()]) each.killAll();
  await rm(folder, { recursive: true, force: true });
}
