/** model.onnx is an ordinary ONNX file: a bare onnxruntime opens it and predicts what Lockstep's own graph predicts. */
import * as onnxruntime from "onnxruntime-node";
import { describe, expect, test } from "vitest";
import { onnxRuntimeEngine } from "../../shared/engine/onnxruntime.ts";
import { fuse } from "../../shared/graph/fuse.ts";
import { encodeInferenceOnnx } from "../../shared/graph/onnx/encode.ts";
import { activations, type Activation } from "../../shared/nn/activations.ts";
import { compileModel } from "../../shared/nn/model.ts";
import type { ModelSpec } from "../../shared/nn/spec.ts";
import { product } from "../../shared/shape.ts";
import { runOnce, someNumbers } from "../support/programs.ts";

const spec = (activation: Activation, more: Partial<ModelSpec> = {}): ModelSpec => ({
  inputShape: [4, 5],
  target: { kind: "class", classes: 3 },
  layers: [
    { kind: "dense", units: 8, activation },
    { kind: "dropout", rate: 0.5 },
    { kind: "dense", units: 3 },
  ],
  loss: { kind: "crossEntropy" },
  ...more,
});
const values = { kind: "values", width: 3 } as const;

const models: readonly (readonly [string, ModelSpec, string])[] = [
  ...Object.keys(activations).map((name) => [name, spec(name as Activation), "probabilities"] as const),
  ["binary cross-entropy", spec("relu", { target: values, loss: { kind: "binaryCrossEntropy" } }), "probabilities"],
  ["mean squared error", spec("relu", { target: values, loss: { kind: "meanSquaredError" } }), "output"],
];

describe("model.onnx", () => {
  test.each(models)("of %s predicts the same for any batch", async (_name, modelSpec, output) => {
    const model = compileModel(modelSpec);
    const parameters = Object.fromEntries(
      model.parameters.map(({ name, shape }, place) => [name, someNumbers(product(shape), place + 1)]),
    );
    const session = await onnxruntime.InferenceSession.create(encodeInferenceOnnx(model, parameters));
    expect(session.inputMetadata).toEqual([{ name: "input", isTensor: true, type: "float32", shape: ["batch", 4, 5] }]);
    expect(session.outputMetadata).toEqual([{ name: output, isTensor: true, type: "float32", shape: ["batch", 3] }]);
    const fed = Object.fromEntries(Object.entries(parameters).map(([name, array]) => [`parameter:${name}`, array]));
    for (const samples of [1, 3, 17]) {
      const features = someNumbers(samples * 20, 9);
      const results = await session.run({ input: new onnxruntime.Tensor("float32", features, [samples, 4, 5]) });
      const expected = await runOnce(onnxRuntimeEngine(), fuse(model.predict, [samples]), { features, ...fed });
      const predicted = results[output]?.data as Float32Array;
      expect(predicted.length).toBe(samples * 3);
      predicted.forEach((value, entry) =>
        expect(Math.abs(value - (expected[output]?.[entry] as number))).toBeLessThan(1e-6),
      );
    }
    await session.release();
  });

  test("wants the values of every parameter", () => {
    expect(() => encodeInferenceOnnx(compileModel(spec("relu")), {})).toThrow("no values for the parameter 0.weight");
    expect(() => encodeInferenceOnnx(compileModel(spec("relu")), { "0.weight": new Float32Array(3) })).toThrow(
      "0.weight wants [8, 20], 160 values, but was given 3",
    );
  });
});
