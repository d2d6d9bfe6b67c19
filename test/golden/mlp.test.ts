/**
 * Networks against PyTorch's autograd: every mlp-*.json there is. A file's network follows from its parameters' shapes,
 * its name and its note. The files hold means, programs give sums.
 */
import { describe, expect, test } from "vitest";
import type { Engine } from "../../shared/engine/engine.ts";
import { onnxRuntimeEngine } from "../../shared/engine/onnxruntime.ts";
import { referenceEngine } from "../../shared/engine/reference.ts";
import { fuse } from "../../shared/graph/fuse.ts";
import { activations, type Activation } from "../../shared/nn/activations.ts";
import { compileModel } from "../../shared/nn/model.ts";
import type { LayerSpec, LossSpec, ModelSpec } from "../../shared/nn/spec.ts";
import { expectClose, type GoldenArray, goldenFiles, numbersOf } from "../support/golden.ts";
import { runOnce } from "../support/programs.ts";

interface Mlp {
  readonly note: string;
  readonly x: GoldenArray;
  readonly y: GoldenArray;
  readonly output: GoldenArray;
  readonly loss: number;
  readonly params: Readonly<Record<string, GoldenArray>>;
  readonly gradients: Readonly<Record<string, GoldenArray>>;
}

const camel = (word: string): string => word.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());

/** The activation that the file's name or its note mentions; ReLU where neither does. */
function activationOf(file: string, note: string): Activation {
  const words = [file.replace(/^mlp-|\.json$/g, ""), ...note.split(/[^a-zA-Z_]+/)]
    .flatMap((word) => word.split("-"))
    .map(camel);
  return (words.find((word) => Object.hasOwn(activations, word)) ?? "relu") as Activation;
}

function lossOf(note: string): LossSpec {
  if (/\bBCE\b/i.test(note)) return { kind: "binaryCrossEntropy" };
  if (/\bMSE\b/i.test(note)) return { kind: "meanSquaredError" };
  const smoothing = /label smoothing ([\d.]+)/.exec(note)?.[1];
  return { kind: "crossEntropy", ...(smoothing === undefined ? {} : { labelSmoothing: Number(smoothing) }) };
}

function specOf(file: string, mlp: Mlp): ModelSpec {
  const weights = Object.entries(mlp.params).filter(([name]) => name.endsWith(".weight"));
  const activation = activationOf(file, mlp.note);
  const layers = weights.map(([name, { shape }], place): LayerSpec => ({
    kind: "dense",
    units: shape[0] as number,
    bias: Object.hasOwn(mlp.params, name.replace("weight", "bias")),
    ...(place < weights.length - 1 ? { activation } : {}),
  }));
  const width = mlp.output.shape[1] as number;
  const target =
    mlp.y.dtype === "int64" ? ({ kind: "class", classes: width } as const) : ({ kind: "values", width } as const);
  return { inputShape: mlp.x.shape.slice(1), target, layers, loss: lossOf(mlp.note) };
}

/** What a prediction is, from the reference's scores. */
function predictionOf(loss: LossSpec, scores: readonly number[], width: number): number[] {
  if (loss.kind === "meanSquaredError") return [...scores];
  if (loss.kind === "binaryCrossEntropy") return scores.map((score) => 1 / (1 + Math.exp(-score)));
  return scores.map((score, entry) => {
    const row = scores.slice(entry - (entry % width), entry - (entry % width) + width);
    return Math.exp(score) / row.reduce((total, other) => total + Math.exp(other), 0);
  });
}

const engines: readonly Engine[] = [onnxRuntimeEngine(), referenceEngine("float32"), referenceEngine("float64")];
const files = goldenFiles<Mlp>("mlp-");

test("there are reference files", () => expect(files.length).toBeGreaterThan(0));

describe.each(engines)("$name", (engine) => {
  test.each(files)("%s", async (file, mlp) => {
    const spec = specOf(file, mlp);
    const model = compileModel(spec);
    expect(model.parameters.map(({ name, shape }) => [name, shape])).toEqual(
      Object.entries(mlp.params).map(([name, { shape }]) => [name, shape]),
    );
    const samples = mlp.x.shape[0] as number;
    const given: Record<string, number[]> = { features: numbersOf(mlp.x), targets: numbersOf(mlp.y) };
    for (const [name, array] of Object.entries(mlp.params)) given[`parameter:${name}`] = numbersOf(array);

    for (const shards of [[samples], [samples - 2, 2]]) {
      const outputs = await runOnce(engine, fuse(model.train, shards), given);
      expectClose("loss", [(outputs["metric:loss"]?.[0] as number) / samples], [mlp.loss]);
      for (const [name, array] of Object.entries(mlp.gradients)) {
        expectClose(
          `gradient of ${name}`,
          (outputs[`gradient:${name}`] as Float32Array).map((sum) => sum / samples),
          numbersOf(array),
        );
      }
    }
    const evaluated = await runOnce(engine, fuse(model.evaluate, [samples]), given);
    expectClose("loss of evaluate", [(evaluated["metric:loss"]?.[0] as number) / samples], [mlp.loss]);
    const predicted = Object.values(await runOnce(engine, fuse(model.predict, [samples]), given))[0] as Float32Array;
    expectClose("prediction", predicted, predictionOf(spec.loss, numbersOf(mlp.output), mlp.output.shape[1] as number));
  });
});
