/** `evaluate` and `predict` say of a run on disk what the run itself said, and what other software says of its model file. */
import { readFile, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { encode } from "fast-png";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { expect, test } from "vitest";
import type { RunResult } from "../../coordinator/events.ts";
import { openData } from "../../shared/data/open.ts";
import { temporaryFolder } from "../support/files.ts";
import { asEvents, lockstep } from "../support/lockstep.ts";
import type { Finished } from "../support/lockstep.ts";
import { writeMnistPart } from "../support/mnist.ts";

type Figures = Pick<RunResult, "testLoss" | "testAccuracy" | "parametersSha256">;

/** A folder with 1,000 training digits and 700 test digits: three chunks of an evaluation, not of one size. */
async function prepared(): Promise<string> {
  const folder = await temporaryFolder();
  await writeMnistPart(join(folder, "digits"), 1000, 700);
  return folder;
}

/** A run of the name `first` to its end. */
async function trained(folder: string): Promise<RunResult> {
  const flags = ["--batch", "50", "--epochs", "8", "--layers", "784,32,10"];
  return lockstep(["train", "--data", "digits", "--name", "first", ...asEvents, ...flags], folder).result();
}

const evaluate = (folder: string, ...args: string[]): Promise<Finished> =>
  lockstep(["evaluate", ...args], folder).finished;

const figuresOf = ({ testLoss, testAccuracy, parametersSha256 }: Figures): Figures => ({
  testLoss,
  testAccuracy,
  parametersSha256,
});

/** The figures that the run wrote down after a step. */
async function recorded(run: string, step: number): Promise<Omit<Figures, "parametersSha256">> {
  const lines = (await readFile(join(run, "metrics.jsonl"), "utf8")).trimEnd().split("\n");
  const epochs = lines.map((line) => JSON.parse(line) as Figures & { type: string; step: number });
  const { testLoss, testAccuracy } = epochs.find((line) => line.type === "epoch" && line.step === step)!;
  return { testLoss, testAccuracy };
}

test("evaluate gives the figures of a completed run, to the last bit, and names the runs there are", async () => {
  const folder = await prepared();
  const result = await trained(folder);
  expect(await recorded(join(folder, "runs", "first"), result.steps)).toEqual({
    testLoss: result.testLoss,
    testAccuracy: result.testAccuracy,
  });
  const json = await evaluate(folder, "first", "--json");
  const said = JSON.parse(json.stdout) as Figures & { samples: number; source: string };
  expect(figuresOf(said)).toEqual(figuresOf(result));
  expect(said).toMatchObject({ samples: 700, source: join("runs", "first", "model.safetensors") });

  // Elsewhere, by its folder, for people.
  const { code, stdout } = await evaluate(await temporaryFolder(), join(folder, "runs", "first"));
  expect(code).toBe(0);
  expect(stdout).toContain(`\ntest loss ${result.testLoss!.toPrecision(4)}\n`);
  expect(stdout).toMatch(
    new RegExp(
      `\ntest accuracy ${(100 * result.testAccuracy!).toFixed(2)} %\nparameters sha256 ${result.parametersSha256}\n$`,
    ),
  );

  const unknown = await evaluate(folder, "frist");
  expect(unknown.code).toBe(1);
  expect(unknown.stderr).toMatch(/frist.*did you mean first\?.*RUN_MISSING[^]*There are: first/);
});

test("a run stopped by Ctrl-C is evaluated at its newest whole checkpoint; a damaged one is named", async () => {
  const folder = await prepared();
  // An epoch is one step, so that the run has figures for every step.
  const job = "data: { idx: digits }\nbatch: 1000\nepochs: 5000\ncheckpoint: { everySteps: 4 }\n";
  await writeFile(join(folder, "job.yaml"), job);
  const run = lockstep(["train", "job.yaml", "--name", "stopped", ...asEvents], folder);
  await run.event("step", ({ step }) => step >= 9);
  run.process.kill("SIGINT");
  const result = await run.result();
  expect(result.outcome).toBe("stopped");
  await run.finished;
  const path = join(folder, "runs", "stopped");

  const whole = JSON.parse((await evaluate(folder, "stopped", "--json")).stdout) as Figures & { source: string };
  expect(whole.source).toBe(`checkpoint of step ${result.steps}`);
  expect(figuresOf(whole)).toEqual(figuresOf(result));
  expect(whole).toMatchObject(await recorded(path, result.steps));

  const [before, newest] = (await readdir(join(path, "checkpoints"))).sort().slice(-2);
  await writeFile(join(path, "checkpoints", newest!), "not a checkpoint");
  const { stdout, stderr } = await evaluate(folder, "stopped", "--json");
  expect(stderr).toMatch(new RegExp(`^warning: .*${newest}`));
  const step = Number(/\d+/.exec(before!));
  expect(step).toBeLessThan(result.steps);
  expect(JSON.parse(stdout)).toMatchObject({
    ...(await recorded(path, step)),
    source: `checkpoint of step ${step}`,
  });
});

test("a completed run that has gone on is evaluated at its newest checkpoint; a model without checkpoints as it is", async () => {
  const folder = await prepared();
  const completed = await trained(folder);
  const on = lockstep(["train", "--resume", "first", "--epochs", "100000", ...asEvents], folder);
  await on.event("step", ({ step }) => step > completed.steps);
  on.process.kill("SIGINT");
  const stopped = await on.result();
  await on.finished;
  const said = async (): Promise<Figures & { source: string }> =>
    JSON.parse((await evaluate(folder, "first", "--json")).stdout) as Figures & { source: string };
  const gone = await said();
  expect(gone.source).toBe(`checkpoint of step ${stopped.steps}`);
  expect(gone.parametersSha256).toBe(stopped.parametersSha256);

  await rm(join(folder, "runs", "first", "checkpoints"), { recursive: true });
  const alone = await said();
  expect(alone.source).toBe(join("runs", "first", "model.safetensors"));
  expect(alone.parametersSha256).toBe(completed.parametersSha256);
});

test("evaluate refuses data that is not the run's, although it has the same shape", async () => {
  const folder = await prepared();
  await trained(folder);
  const labels = join(folder, "digits", "t10k-labels-idx1-ubyte");
  const bytes = await readFile(labels);
  bytes[8] = (bytes[8]! + 1) % 10;
  await writeFile(labels, bytes);
  const { code, stdout, stderr } = await evaluate(folder, "first");
  expect(code).toBe(1);
  expect(stdout).toBe("");
  expect(stderr).toMatch(/first.*SHA-256 [0-9a-f]{64}, this data has [0-9a-f]{64} \[DATA_MISMATCH\]\n {2}what to do: /);
});

test("predict reads a picture, dark on light as well, or a row of values, as bare onnxruntime does", async () => {
  const folder = await prepared();
  const { models } = await trained(folder);
  const { features } = (await openData({ kind: "mnist" })).test!.transfer();
  const seven = (features as Uint8Array).slice(0, 784);
  const png = (data: Uint8Array): Uint8Array => encode({ width: 28, height: 28, channels: 1, depth: 8, data });
  await writeFile(join(folder, "seven.png"), png(seven));
  await writeFile(join(folder, "dark.png"), png(seven.map((value) => 255 - value)));
  await writeFile(join(folder, "seven.csv"), `${seven.join(",")}\n`);
  await writeFile(join(folder, "short.csv"), `${seven.subarray(1).join(",")}\n`);
  const predict = (input: string, ...more: string[]): Promise<Finished> =>
    lockstep(["predict", "first", "--input", input, ...more], folder).finished;
  const probabilitiesOf = async (input: string): Promise<number[]> =>
    (JSON.parse((await predict(input, "--json")).stdout) as { probabilities: number[] }).probabilities;

  const session = await InferenceSession.create(join(folder, models[0]!));
  const pixels = Float32Array.from(seven, (byte) => byte / 255);
  const input = new Tensor("float32", pixels, [1, 28, 28]);
  const elsewhere = Array.from((await session.run({ input }))["probabilities"]!.data as Float32Array);
  expect(elsewhere.indexOf(Math.max(...elsewhere))).toBe(7);

  const picture = await probabilitiesOf("seven.png");
  picture.forEach((probability, index) => expect(probability).toBeCloseTo(elsewhere[index]!, 6));
  expect(await probabilitiesOf("seven.csv")).toEqual(picture);
  (await probabilitiesOf("dark.png")).forEach((probability, index) =>
    expect(probability).toBeCloseTo(picture[index]!, 5),
  );

  const lines = (await predict("seven.png")).stdout.trimEnd().split("\n");
  expect(lines).toHaveLength(10);
  expect(lines[0]).toBe(`7 ${(100 * picture[7]!).toFixed(2).padStart(6)} %`);

  const short = await predict("short.csv");
  expect(short.code).toBe(1);
  expect(short.stderr).toMatch(/short\.csv: expected 784 values.*\[28, 28\], found 783 \[SHAPE_MISMATCH\]/);
});
