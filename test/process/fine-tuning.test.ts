/** Fine-tuning a network that PyTorch trained, with real processes: what is frozen stays, and the result is an ordinary run. */
import { copyFile, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { openData } from "../../shared/data/open.ts";
import { decodeSafetensors } from "../../shared/checkpoint/safetensors.ts";
import { readOnnx } from "../../shared/graph/onnx/file.ts";
import { storedParameters } from "../../shared/graph/onnx/import/importer.ts";
import { temporaryFolder } from "../support/files.ts";
import { asEvents, lockstep } from "../support/lockstep.ts";
import type { Lockstep } from "../support/lockstep.ts";
import { writeMnistPart } from "../support/mnist.ts";

const TEST_DIGITS = 300;
const path = (name: string): string => fileURLToPath(new URL(`../${name}`, import.meta.url));

/** A folder with the example as job.yaml, its ONNX file and 1,200 digits: 24 steps. */
async function prepared(): Promise<string> {
  const folder = await temporaryFolder();
  await writeMnistPart(join(folder, "digits"), 1_200, TEST_DIGITS);
  await copyFile(path("data/residual.onnx"), join(folder, "residual.onnx"));
  const example = (await readFile(path("examples/fine-tune.yaml"), "utf8")).replace("../data/", "");
  const job = { ...(parse(example) as object), data: { idx: "digits" }, batch: 50, checkpoint: { everySteps: 6 } };
  await writeFile(join(folder, "job.yaml"), stringify(job));
  return folder;
}

const tuned = (folder: string, name: string): Lockstep =>
  lockstep(["train", "job.yaml", "--name", name, "--workers", "2", ...asEvents], folder);

/** What onnxruntime alone makes of a model file and MNIST's first test digits. */
async function figuresElsewhere(file: string): Promise<{ testLoss: number; testAccuracy: number }> {
  const { features, targets } = (await openData({ kind: "mnist" })).test!.transfer();
  const pixels = Float32Array.from((features as Uint8Array).subarray(0, TEST_DIGITS * 784), (byte) => byte / 255);
  const session = await InferenceSession.create(file);
  const input = new Tensor("float32", pixels, [TEST_DIGITS, 28, 28]);
  const probabilities = (await session.run({ input }))["probabilities"]!.data as Float32Array;
  const rows = Array.from({ length: TEST_DIGITS }, (_, sample) =>
    probabilities.subarray(10 * sample, 10 * sample + 10),
  );
  const losses = rows.map((row, sample) => -Math.log(row[targets[sample]!]!));
  const right = rows.filter((row, sample) => row.indexOf(Math.max(...row)) === targets[sample]);
  return {
    testLoss: losses.reduce((sum, loss) => sum + loss) / TEST_DIGITS,
    testAccuracy: right.length / TEST_DIGITS,
  };
}

/** The names of what changed in training and of what did not, among the parameters that came with the file. */
async function comparedWithFile(folder: string, safetensors: string): Promise<{ changed: string[]; same: string[] }> {
  const bytes = await readFile(join(folder, safetensors));
  const after = new Map(decodeSafetensors(bytes, safetensors).tensors.map(({ name, values }) => [name, values]));
  const before = storedParameters(readOnnx(await readFile(join(folder, "residual.onnx")), "residual.onnx"));
  const names = [...before.keys()].filter((name) => after.has(name));
  const bits = (values: Float32Array): Buffer => Buffer.from(values.buffer, values.byteOffset, values.byteLength);
  const isSame = (name: string): boolean => bits(before.get(name)!.values).equals(bits(after.get(name)!));
  return { changed: names.filter((name) => !isSame(name)), same: names.filter(isSame) };
}

test("what is frozen keeps its bits, the rest learns, and other software computes what the run does", async () => {
  const folder = await prepared();
  const run = tuned(folder, "tuned");
  expect((await run.event("listening")).frozen).toBeGreaterThan(0);
  const result = await run.result();
  const [onnx, safetensors] = result.models as [string, string];

  const { changed, same } = await comparedWithFile(folder, safetensors);
  const isFrozen = (name: string): boolean => /^(stem|block1|block2)\.|running_(mean|var)$/.test(name);
  expect(changed.filter(isFrozen)).toEqual([]);
  expect(same.filter((name) => !isFrozen(name))).toEqual([]);
  expect(same.length).toBeGreaterThan(20);
  expect(changed.length).toBeGreaterThan(5);

  const elsewhere = await figuresElsewhere(join(folder, onnx));
  expect(elsewhere.testAccuracy).toBe(result.testAccuracy);
  expect(elsewhere.testLoss).toBeCloseTo(result.testLoss!, 5);
  // Half of the digits are ones that the file has never seen.
  expect(result.testAccuracy).toBeGreaterThan(0.6);

  // Killed, it goes on to the same bits, and is evaluated, where the file is gone.
  const killed = tuned(folder, "killed");
  await killed.event("step", ({ step }) => step >= 14);
  killed.killAll();
  await killed.finished;
  await rm(join(folder, "residual.onnx"));
  const resumed = lockstep(["train", "--resume", "killed", ...asEvents], folder);
  expect((await resumed.event("listening")).resumedAt).toBeGreaterThan(0);
  const { parametersSha256, testLoss, testAccuracy } = result;
  expect(await resumed.result()).toMatchObject({ parametersSha256, testLoss, testAccuracy });
  const { stdout } = await lockstep(["evaluate", "killed", "--json"], folder).finished;
  expect(JSON.parse(stdout)).toMatchObject({ parametersSha256, testLoss, testAccuracy });
});

test("what is frozen is sent to a worker twice, not with every step, and the bits are those of shared memory", async () => {
  const folder = await prepared();
  const model = { layers: [{ dense: { units: 256, activation: "relu" } }, { dense: 10 }] };
  const groups = [{ parameters: ["0.*"], frozen: true }];
  await writeFile(join(folder, "job.yaml"), stringify({ data: { idx: "digits" }, model, groups, batch: 50 }));
  const options = ["--workers", "2", "--epochs", "2", ...asEvents];
  const result = await lockstep(["train", "job.yaml", "--name", "shared", ...options], folder).result();
  const run = lockstep(["train", "job.yaml", "--name", "sent", "--shared-memory", "off", ...options], folder);
  const { parameters, frozen } = await run.event("listening");
  const { parametersSha256, steps, profile } = await run.result();
  expect(parametersSha256).toBe(result.parametersSha256);
  const [all, trained] = [4 * parameters, 4 * (parameters - frozen)];
  expect(profile.bytesSent).toBeGreaterThan(2 * 2 * all);
  // Once each for an even and an odd version, and not again; padding and messages are the rest.
  expect(profile.bytesSent).toBeLessThan(2 * (3 * all + steps * 2 * trained));
});
