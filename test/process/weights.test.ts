/** `--weights` and `model.weights`: a run starts from another's parameters by their names, and says what matched and what did not. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { decodeSafetensors } from "../../shared/checkpoint/safetensors.ts";
import { temporaryFolder } from "../support/files.ts";
import { asEvents, lockstep } from "../support/lockstep.ts";
import { writeMnistPart } from "../support/mnist.ts";

/** Small enough that adding a multiple of it changes no float of a network. */
const still = ["--learning-rate", "1e-30"];
const short = ["--data", "digits", "--epochs", "1", "--batch", "100", "--workers", "1", ...asEvents];

test("a run starts from weights, whole or in part, and names what did not match", async () => {
  const folder = await temporaryFolder();
  await writeMnistPart(join(folder, "digits"), 300, 100);
  const train = (...args: string[]) => lockstep(["train", ...args, ...short], folder);
  const first = await train("--name", "first", "--layers", "784,32,10").result();
  const weights = join("runs", "first", "model.safetensors");
  const tensorsOf = async (run: string): Promise<Map<string, Float32Array>> => {
    const bytes = await readFile(join(folder, "runs", run, "model.safetensors"));
    return new Map(decodeSafetensors(bytes, run).tensors.map(({ name, values }) => [name, values]));
  };

  const again = train("--name", "again", "--layers", "784,32,10", "--seed", "7", "--weights", weights, ...still);
  expect(await again.event("weights")).toMatchObject({
    file: join(folder, weights),
    matched: ["0.weight", "0.bias", "2.weight", "2.bias"],
    missing: [],
    mismatched: [],
    mistyped: [],
    unexpected: [],
  });
  const { parametersSha256, testLoss } = first;
  expect(await again.result()).toMatchObject({ parametersSha256, testLoss });

  // Another network: one layer has another shape, one isn't in the file, and one of the file's is renamed.
  const deeper = ["--layers", "784,32,20,10", "--name", "deeper"];
  const refused = await train(...deeper, "--weights", weights).finished;
  expect(refused.code).toBe(1);
  expect(refused.error).toContain("model.safetensors fits 2 of 6 parameters");
  expect(refused.error).toContain("\n  not in the file: 4.weight, 4.bias\n");
  expect(refused.error).toContain("\n  2.weight is [20, 32] in the model, [10, 32] in the file\n");
  expect(refused.error).toMatch(/\[WEIGHTS_INVALID\]\n {2}what to do: .*partial: true/);

  const job = { model: { weights: { file: weights, partial: true, rename: { "2.": "head." } } } };
  await writeFile(join(folder, "deeper.yaml"), JSON.stringify(job));
  const partial = train("deeper.yaml", ...deeper, ...still);
  expect(await partial.event("weights")).toMatchObject({
    matched: ["0.weight", "0.bias"],
    missing: ["2.weight", "2.bias", "4.weight", "4.bias"],
    unexpected: ["head.weight", "head.bias"],
  });
  await partial.result();
  const [before, after] = [await tensorsOf("first"), await tensorsOf("deeper")];
  for (const name of ["0.weight", "0.bias"]) expect(after.get(name)).toEqual(before.get(name));
  expect(after.get("4.weight")).toHaveLength(200);
});
