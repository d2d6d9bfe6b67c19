/** The contract of an engine, run against every implementation. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { PreparedProgram } from "../../shared/engine/engine.ts";
import { onnxRuntimeEngine } from "../../shared/engine/onnxruntime.ts";
import { referenceEngine } from "../../shared/engine/reference.ts";
import { fuse } from "../../shared/graph/fuse.ts";
import { compileModel } from "../../shared/nn/model.ts";
import { product } from "../../shared/shape.ts";
import { type Arrays, arraysFor, runOnce, someNumbers, summed } from "../support/programs.ts";

const model = compileModel({
  inputShape: [20],
  target: { kind: "class", classes: 3 },
  layers: [
    { kind: "dense", units: 9, activation: "tanh" },
    { kind: "dropout", rate: 0.5 },
    { kind: "dense", units: 3 },
  ],
  loss: { kind: "crossEntropy" },
});
const program = fuse(model.train, [3, 3, 2]);

/** Numbers for every input; labels where the input holds labels. */
function fed(seed: number): Arrays {
  const arrays = arraysFor(program.inputs);
  Object.values(arrays).forEach((array, place) => {
    if (array instanceof Int32Array) array.forEach((_, row) => void (array[row] = (row + seed) % 3));
    else array.set(someNumbers(array.length, seed + place));
  });
  return arrays;
}
const wanted = (): Record<string, Float32Array> => arraysFor(program.outputs) as Record<string, Float32Array>;

describe.each([onnxRuntimeEngine(), referenceEngine("float32"), referenceEngine("float64")])("$name", (engine) => {
  let prepared: PreparedProgram;
  beforeEach(async () => void (prepared = await engine.prepare(program)));
  afterEach(() => prepared.close());

  test("has a name that says which it is", () =>
    expect(engine.name).toMatch(/^(onnxruntime-node \d+\.\d+\.\d+ cpu|reference float(32|64))$/));

  test("reads views into a shared memory and writes outputs in place", async () => {
    const inputs = fed(1);
    const outputs = wanted();
    expect(inputs["features"]?.buffer).toBeInstanceOf(SharedArrayBuffer);
    await prepared.run(inputs, outputs);
    expect(outputs["metric:loss"]?.[0]).toBeGreaterThan(0);
    for (const { name } of model.parameters)
      expect(outputs[`gradient:${name}`]?.some((value) => value !== 0)).toBe(true);
  });

  test("sees what changed in the same arrays, and takes others", async () => {
    const inputs = fed(1);
    const outputs = wanted();
    await prepared.run(inputs, outputs);
    const first = outputs["metric:loss"]?.slice();
    for (const [name, array] of Object.entries(fed(2))) inputs[name]?.set(array);
    await prepared.run(inputs, outputs);
    expect(outputs["metric:loss"]).not.toEqual(first);
    const others = wanted();
    await prepared.run(fed(1), others);
    expect(others["metric:loss"]).toEqual(first);
    await prepared.run({ ...inputs, features: fed(1)["features"] as Float32Array }, others);
    expect(others["metric:loss"]).not.toEqual(first);
  });

  test("gives the same bits at every run, in every session", async () => {
    const outputs = wanted();
    await prepared.run(fed(3), outputs);
    for (let again = 0; again < 3; again++)
      expect(await runOnce(engine, program, fed(3))).toEqual(summed(program, outputs));
  });

  test("keeps two programs apart", async () => {
    const other = fuse(model.predict, [8]);
    const inputs = fed(4);
    const alone = await runOnce(engine, other, inputs);
    const second = await engine.prepare(other);
    const outputs = {
      probabilities: (arraysFor(other.outputs) as Record<string, Float32Array>)["probabilities"] as Float32Array,
    };
    await Promise.all([prepared.run(inputs, wanted()), second.run(inputs, outputs)]);
    expect(outputs).toEqual(alone);
    await second.close();
  });

  test.each([
    [
      "an input that is missing",
      () => [{ ...fed(1), features: undefined }, wanted()],
      "features wants float32 [8, 20], 160 entries, but was given nothing",
    ],
    [
      "an input of the wrong size",
      () => [{ ...fed(1), features: new Float32Array(3) }, wanted()],
      "features wants float32 [8, 20], 160 entries, but was given Float32Array of 3",
    ],
    [
      "an input of the wrong type",
      () => [{ ...fed(1), targets: new Float32Array(8) }, wanted()],
      "targets wants int32 [8], 8 entries, but was given Float32Array of 8",
    ],
    [
      "an input off the boundary",
      () => [{ ...fed(1), features: new Float32Array(176).subarray(4, 164) }, wanted()],
      "features starts at byte 16 of its buffer, not on a 64-byte boundary",
    ],
    [
      "an output off the boundary",
      () => [fed(1), { ...wanted(), "gradient:0.bias": new Float32Array(32).subarray(8, 17) }],
      "gradient:0.bias starts at byte 32 of its buffer",
    ],
  ] as const)("refuses %s", async (_what, arrays, message) => {
    const [inputs, outputs] = arrays() as unknown as [Arrays, Record<string, Float32Array>];
    await expect(prepared.run(inputs, outputs)).rejects.toThrow(message);
    await prepared.run(fed(1), wanted());
  });
});

test("onnxruntime takes no new memory for outputs", async () => {
  const prepared = await onnxRuntimeEngine().prepare(program);
  const outputs = wanted();
  await prepared.run(fed(1), outputs);
  const inputs = fed(1);
  const before = process.memoryUsage().arrayBuffers;
  for (let again = 0; again < 1_000; again++) await prepared.run(inputs, outputs);
  const bytes = program.outputs.reduce((sum, { shape }) => sum + 4 * product(shape), 0);
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(100 * bytes);
  await prepared.close();
});
