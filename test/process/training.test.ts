/** Everything that steers training, with real processes: the same bits with any number of workers and after a kill. */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { readdir, readFile, writeFile, type FileHandle } from "node:fs/promises";
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { expect, onTestFinished, test, vi } from "vitest";
import { functional, linear, loss, ops, train, type Dataset } from "../../coordinator/index.ts";
import type { RunEvent } from "../../coordinator/events.ts";
import { readEvents } from "../../coordinator/run-folder/event-log.ts";
import { findRun } from "../../coordinator/run-folder/find.ts";
import { CLOSING } from "../../coordinator/tracing/chrome-trace.ts";
import { evaluate } from "../../coordinator/trained/evaluate.ts";
import { loadTrained } from "../../coordinator/trained/trained.ts";
import { temporaryFolder } from "../support/files.ts";
import { filesOf } from "../support/full-disk.ts";
import { asEvents, lockstep } from "../support/lockstep.ts";
import type { Lockstep } from "../support/lockstep.ts";
import { writeMnistPart } from "../support/mnist.ts";

// The rate is too high on purpose, so that plateaus are met, the best is not the last and training stops early.
const steered = `
model: { layers: [dense: { units: 24, activation: relu }, dense: 10] }
optimizer: { lamb: { learningRate: 0.4, clipNorm: 1 } }
schedule: { plateau: { factor: 0.7, patience: 0, warmUp: 0.5 } }
groups:
  - { parameters: vectors, weightDecay: 0 }
  - { parameters: 2.bias, frozen: true }
average: 0.9
batch: 60
accumulate: 2
epochs: 30
metrics: [{ topK: 3 }, confusion, perplexity]
stopEarly: { patience: 4 }
checkpoint: { everySteps: 7 }
`;

async function place(job: string): Promise<(name: string, ...more: string[]) => Lockstep> {
  const folder = await temporaryFolder();
  await writeMnistPart(join(folder, "data"), 1000, 300);
  await writeFile(join(folder, "job.yaml"), `data: { idx: data }\nruns: ${join(folder, "runs")}\n${job}`);
  return (name, ...more) => lockstep(["train", "job.yaml", "--name", name, ...asEvents, ...more], folder);
}

const epochsOf = async (run: Lockstep): Promise<unknown[]> => {
  await run.finished;
  return run.events.flatMap((event) => (event.type === "epoch" ? [{ ...event, seconds: 0 }] : []));
};

test("schedule, groups, clipping, accumulation, average, early stopping and the best checkpoint, to the same bits", async () => {
  const train = await place(steered);
  const one = train("one", "--workers", "1");
  const result = await one.result();
  const { folder, modelStep, steps, testLoss, testFigures } = result;
  expect(result.outcome).toBe("completed");
  expect(steps).toBeLessThan(30 * 9);
  expect(modelStep).toBeLessThan(steps);
  expect(one.events.filter(({ type }) => type === "rate-reduced").length).toBeGreaterThan(1);
  expect(one.events.filter(({ type }) => type === "stopped-early")).toHaveLength(1);
  expect(await readdir(join(folder, "checkpoints"))).toContain(
    `best-${String(modelStep).padStart(8, "0")}.safetensors`,
  );

  // Every test sample is counted once.
  const confusion = testFigures!["confusion"] as number[][];
  expect(confusion.flat().reduce((sum, value) => sum + value, 0)).toBe(300);
  expect(confusion.reduce((sum, row, label) => sum + row[label]!, 0) / 300).toBeCloseTo(result.testAccuracy!, 12);

  for (const workers of ["2", "3"]) {
    const run = train(`with-${workers}`, "--workers", workers);
    expect(await run.result()).toMatchObject({
      parametersSha256: result.parametersSha256,
      testLoss,
      testFigures,
      modelStep,
    });
    expect(await epochsOf(run)).toEqual(await epochsOf(one));
  }

  const killed = train("killed");
  await killed.event("step", ({ step }) => step >= steps - 12);
  killed.killAll();
  await killed.finished;
  const resumed = train("killed", "--continue");
  const { resumedAt } = await resumed.event("listening");
  expect(resumedAt).toBeGreaterThan(0);
  expect(await resumed.result()).toMatchObject({
    parametersSha256: result.parametersSha256,
    testLoss,
    modelStep,
    steps,
    stepsTaken: steps - resumedAt!,
  });
  const lines = async (name: string): Promise<unknown[]> =>
    (await readFile(join(folder, "..", name, "metrics.jsonl"), "utf8"))
      .trim()
      .split("\n")
      .map((line) => ({ ...JSON.parse(line), seconds: 0, samplesPerSecond: 0, workers: 0 }));
  expect(await lines("killed")).toEqual(await lines("one"));

  const evaluated = await lockstep(["evaluate", folder, "--json"]).finished;
  expect(JSON.parse(evaluated.stdout)).toMatchObject({
    testLoss,
    testFigures,
    parametersSha256: result.parametersSha256,
  });
}, 300_000);

test("accumulating four minibatches has the bits of one that is four times as large", async () => {
  const train = await place("epochs: 2\nschedule: { oneCycle: {} }\n");
  const apart = await train("apart", "--batch", "50", "--shards", "2", "--accumulate", "4").result();
  const together = await train("together", "--batch", "200", "--shards", "8").result();
  expect(apart.parametersSha256).toBe(together.parametersSha256);
  expect(apart.steps).toBe(10);
}, 60_000);

test("augmented images with a held-out part, in memory or read from their files, have the same bits on any number of workers", async () => {
  const train = await place(`
epochs: 2
validation: 0.2
augment: [{ shift: 1 }, { rotate: 10 }, { crop: 0.9 }, flip, { cutout: 5 }]
metrics: [confusion]
`);
  const result = await train("one", "--workers", "1").result();
  const confusion = result.testFigures!["confusion"] as number[][];
  expect(confusion.flat().reduce((sum, value) => sum + value, 0)).toBe(200);
  const { parametersSha256, testLoss, folder } = result;
  for (const workers of ["2", "3"]) {
    const run = train(`with-${workers}`, "--workers", workers);
    expect(await run.result()).toMatchObject({ parametersSha256, testLoss });
  }
  const job = join(folder, "..", "..", "job.yaml");
  await writeFile(job, `${await readFile(job, "utf8")}dataMemory: 0\n`);
  expect(await train("blocks", "--threads", "2").result()).toMatchObject({ parametersSha256, testLoss });
  // The run was evaluated on the held-out fifth; the test images it never saw are for `evaluate`.
  const evaluated = await lockstep(["evaluate", folder, "--json"]).finished;
  expect(JSON.parse(evaluated.stdout)).toMatchObject({ samples: 300, parametersSha256 });
}, 300_000);

test("a model that no worker evaluated is told by the held-out part, as the epochs are, though there is test data", async () => {
  const train = await place("epochs: 1\nvalidation: 0.2\naverage: 0.5\nmetrics: [confusion]\n");
  const { testFigures, testAccuracy } = await train("averaged", "--workers", "1").result();
  const confusion = testFigures!["confusion"] as number[][];
  expect(confusion.flat().reduce((sum, value) => sum + value, 0)).toBe(200);
  expect(confusion.reduce((sum, row, label) => sum + row[label]!, 0) / 200).toBeCloseTo(testAccuracy!, 12);
}, 60_000);

test.each(["data", "listening", "worker-joined", "step", "epoch", "checkpoint", "finished"])(
  "what onEvent throws at %s is what train rejects with, and the steps so far are in a checkpoint",
  async (type) => {
    const runs = await temporaryFolder();
    await writeMnistPart(join(runs, "digits"), 300, 100);
    const data = { kind: "idx", path: join(runs, "digits") } as const;
    const mistake = new TypeError("a mistake of the program's");
    let [thrown, steps] = [0, 0];
    const training = train(
      { name: "run", runs, data, workers: 1, epochs: 3, batch: 30, checkpoint: { everySteps: 4 } },
      {
        onEvent(event) {
          if (event.type === "step") steps = event.step;
          if (event.type !== type) return;
          thrown++;
          throw mistake;
        },
      },
    );
    await expect(training).rejects.toBe(mistake);
    expect(thrown).toBe(1);
    if (steps === 0) return;
    const saved = await readdir(join(runs, "run", "checkpoints"));
    expect(Math.max(...saved.map((name) => Number(/\d+/.exec(name))))).toBeGreaterThanOrEqual(steps);
  },
);

test.each<{ what: string; obstruct: (folder: string) => void; isStopped: boolean; path: RegExp }>([
  {
    what: "a completed run without room for its model",
    obstruct: (folder) => mkdirSync(join(folder, "model.onnx")),
    isStopped: false,
    path: /model\.onnx: EISDIR$/,
  },
  {
    what: "a stopped run whose checkpoint cannot be written",
    obstruct(folder) {
      rmSync(join(folder, "checkpoints"), { recursive: true });
      writeFileSync(join(folder, "checkpoints"), "");
    },
    isStopped: true,
    path: /step-\d{8}\.safetensors: ENOTDIR$/,
  },
])("$what says last why it failed, in its folder too", async ({ obstruct, isStopped, path }) => {
  const runs = await temporaryFolder();
  await writeMnistPart(join(runs, "digits"), 300, 100);
  const data = { kind: "idx", path: join(runs, "digits") } as const;
  const stop = new AbortController();
  const events: RunEvent[] = [];
  const training = train(
    { name: "run", runs, data, workers: 1, epochs: isStopped ? 100_000 : 1, batch: 30 },
    {
      signal: stop.signal,
      onEvent(event) {
        events.push(event);
        if (event.type === "listening") obstruct(event.folder);
        if (event.type === "step" && isStopped) stop.abort();
      },
    },
  );
  const failed = { code: "DISK_FAILED", message: expect.stringMatching(path) as string };
  await expect(training).rejects.toMatchObject(failed);
  expect(events.at(-1)).toEqual({ type: "failed", ...failed });
  const logged: RunEvent[] = [];
  await readEvents(join(runs, "run"), Infinity, (event) => logged.push(event));
  expect(logged.at(-1)).toMatchObject({ type: "failed", ...failed });
});

test.each<{ what: string; obstruct: (folder: string, files: FileHandle) => void; path: RegExp }>([
  {
    what: "curves",
    obstruct(folder) {
      // The file's name has the second in which the run began.
      const now = Math.floor(Date.now() / 1000);
      for (const second of [now - 2, now - 1, now]) {
        const file = join(folder, `events.out.tfevents.${second}.${hostname()}.${process.pid}`);
        rmSync(file, { force: true });
        mkdirSync(file);
      }
    },
    path: /tfevents.*: EISDIR$/,
  },
  {
    what: "trace",
    obstruct: (_, files) =>
      vi.spyOn(files, "appendFile").mockImplementation(async function (this: FileHandle, text) {
        if (text === CLOSING) throw Object.assign(new Error("full"), { code: "ENOSPC" });
        await this.write(text as string);
      }),
    path: /trace\.json: ENOSPC$/,
  },
])("that a run's $what could not be ended is told before the run has finished", async ({ obstruct, path }) => {
  const runs = await temporaryFolder();
  await writeMnistPart(join(runs, "digits"), 300, 100);
  const data = { kind: "idx", path: join(runs, "digits") } as const;
  const config = { name: "run", runs, data, workers: 1, epochs: 1, batch: 30, tensorboard: true };
  await train(config);
  const files = await filesOf(runs);
  onTestFinished(() => void vi.restoreAllMocks());
  const events: RunEvent[] = [];
  // Nothing is left to train, so that nothing is written of it before the end.
  await train(config, {
    resume: true,
    trace: true,
    onEvent(event) {
      events.push(event);
      if (event.type === "listening") obstruct(event.folder, files);
    },
  });
  const end = [
    { type: "warning", code: "DISK_FAILED", message: expect.stringMatching(path) as string },
    { type: "finished" },
  ];
  expect(events.slice(-2)).toMatchObject(end);
  const logged: RunEvent[] = [];
  await readEvents(join(runs, "run"), Infinity, (event) => logged.push(event));
  expect(logged.slice(-2)).toMatchObject(end);
});

test.each([
  ["labels", { kind: "class", classes: 2 }],
  ["real values", { kind: "values", width: 3 }],
] as const)(
  "a loss may leave out the targets, which here are %s, as that of an autoencoder does",
  async (_, target) => {
    const runs = await temporaryFolder();
    const dataset: Dataset = {
      length: 20,
      sampleShape: [2],
      target,
      batch: (indices, features) => indices.forEach((sample, row) => features.set([Math.sin(sample), 1], 2 * row)),
    };
    const error = functional(
      (x, { use }) => {
        const off = ops.subtract(use(linear(2), use(linear(1), x)), x);
        return ops.sum(ops.multiply(off, off), [1]);
      },
      loss("error", (output) => output),
    );
    const data = { train: dataset, test: dataset };
    const result = await train({ name: "coded", runs, data, model: error, workers: 1, epochs: 1, batch: 10 });
    expect(result).toMatchObject({ outcome: "completed", testLoss: expect.any(Number) as number });
    const { testLoss } = await evaluate(await loadTrained(findRun("coded", runs), () => {}));
    expect(testLoss).toBe(result.testLoss);
  },
);

test.each([0, 2])(
  "a run that stops early with evaluateEvery: %i tells the figures of the parameters it ends with",
  async (every) => {
    const train = await place(`
model: { layers: [dense: { units: 8, activation: relu }, dense: 10] }
batch: 20
epochs: 30
evaluateEvery: ${every}
monitor: loss
stopEarly: { patience: 2, threshold: 0.99 }
checkpoint: { best: false }
`);
    const run = train("early", "--workers", "1");
    const { folder, outcome, steps, stoppedEarly, testLoss, testAccuracy } = await run.result();
    // No loss gets so much better: it ends with the third epoch, which was not evaluated.
    expect({ outcome, steps, stoppedEarly }).toEqual({ outcome: "completed", steps: 150, stoppedEarly: true });
    const evaluated = await evaluate(await loadTrained(findRun("early", dirname(folder)), () => {}));
    expect({ testLoss, testAccuracy }).toEqual({ testLoss: evaluated.testLoss, testAccuracy: evaluated.testAccuracy });
  },
);

test.each(["data", "listening", "step", "finished"])(
  "what an async onEvent rejects with after %s is what train rejects with, and the steps so far are in a checkpoint",
  async (type) => {
    const runs = await temporaryFolder();
    await writeMnistPart(join(runs, "digits"), 300, 100);
    const data = { kind: "idx", path: join(runs, "digits") } as const;
    const mistake = new TypeError("a mistake of the program's");
    let [rejected, steps] = [false, 0];
    const training = train(
      { name: "run", runs, data, workers: 1, epochs: type === "finished" ? 1 : 100_000, batch: 30 },
      {
        async onEvent(event) {
          if (event.type === "step") steps = event.step;
          if (event.type !== type || rejected) return;
          rejected = true;
          await setTimeout(50);
          throw mistake;
        },
      },
    );
    await expect(training).rejects.toBe(mistake);
    const saved = await readdir(join(runs, "run", "checkpoints"));
    expect(Math.max(0, ...saved.map((name) => Number(/\d+/.exec(name))))).toBeGreaterThanOrEqual(steps);
  },
);
