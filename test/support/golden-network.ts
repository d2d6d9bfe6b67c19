/** One forward and backward pass of a network against its reference file, whatever its layers. */
import { expect } from "vitest";
import type { Engine } from "../../shared/engine/engine.ts";
import { fuse } from "../../shared/graph/fuse.ts";
import { compileModel } from "../../shared/nn/model.ts";
import type { LayerSpec, LossSpec, ModelSpec } from "../../shared/nn/spec.ts";
import { expectClose, type GoldenArray, numbersOf } from "./golden.ts";
import { runOnce } from "./programs.ts";

/** What is in the file: inputs, targets, scores, the mean loss, parameters and the gradients of the mean loss. */
export interface GoldenNetwork {
  readonly note: string;
  readonly x: GoldenArray;
  readonly y: GoldenArray;
  readonly output: GoldenArray;
  readonly loss: number;
  readonly params: Readonly<Record<string, GoldenArray>>;
  readonly gradients: Readonly<Record<string, GoldenArray>>;
}

/** The spec of a file's network, from its layers and its loss. */
export function goldenSpec(file: GoldenNetwork, layers: readonly LayerSpec[], loss: LossSpec): ModelSpec {
  const width = file.output.shape.at(-1) as number;
  const target =
    file.y.dtype === "int64" ? ({ kind: "class", classes: width } as const) : ({ kind: "values", width } as const);
  return { inputShape: file.x.shape.slice(1), target, layers, loss };
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

/** Fails unless loss, gradients, evaluation and prediction are the file's, with the batch in one shard and in two. */
export async function expectLikeReference(engine: Engine, spec: ModelSpec, file: GoldenNetwork): Promise<void> {
  const model = compileModel(spec);
  expect(Object.fromEntries(model.parameters.map(({ name, shape }) => [name, shape]))).toEqual(
    Object.fromEntries(Object.entries(file.params).map(([name, { shape }]) => [name, shape])),
  );
  const samples = file.x.shape[0] as number;
  const given: Record<string, number[]> = { features: numbersOf(file.x), targets: numbersOf(file.y) };
  for (const [name, array] of Object.entries(file.params)) given[`parameter:${name}`] = numbersOf(array);

  for (const shards of [[samples], [samples - 1, 1]]) {
    const outputs = await runOnce(engine, fuse(model.train, shards), given);
    expectClose("loss", [(outputs["metric:loss"]?.[0] as number) / samples], [file.loss]);
    for (const [name, array] of Object.entries(file.gradients)) {
      expectClose(
        `gradient of ${name}`,
        (outputs[`gradient:${name}`] as Float32Array).map((sum) => sum / samples),
        numbersOf(array),
      );
    }
  }
  const evaluated = await runOnce(engine, fuse(model.evaluate, [samples]), given);
  expectClose("loss of evaluate", [(evaluated["metric:loss"]?.[0] as number) / samples], [file.loss]);
  const predicted = Object.values(await runOnce(engine, fuse(model.predict, [samples]), given))[0] as Float32Array;
  expectClose(
    "prediction",
    predicted,
    predictionOf(spec.loss, numbersOf(file.output), file.output.shape.at(-1) as number),
  );
}
