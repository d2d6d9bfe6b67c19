/**
 * Networks against PyTorch's autograd: every mlp-*.json there is. A file's network follows from its parameters' shapes,
 * its name and its note. The files hold means, programs give sums.
 */
import { describe, expect, test } from "vitest";
import type { Engine } from "../../shared/engine/engine.ts";
import { onnxRuntimeEngine } from "../../shared/engine/onnxruntime.ts";
import { referenceEngine } from "../../shared/engine/reference.ts";
import { activations, type Activation } from "../../shared/nn/activations.ts";
import type { LayerSpec, LossSpec, ModelSpec } from "../../shared/nn/spec.ts";
import { goldenFiles } from "../support/golden.ts";
import { expectLikeReference, type GoldenNetwork, goldenSpec } from "../support/golden-network.ts";

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

function specOf(file: string, mlp: GoldenNetwork): ModelSpec {
  const weights = Object.entries(mlp.params).filter(([name]) => name.endsWith(".weight"));
  const activation = activationOf(file, mlp.note);
  const layers = weights.map(([name, { shape }], place): LayerSpec => ({
    kind: "dense",
    units: shape[0] as number,
    bias: Object.hasOwn(mlp.params, name.replace("weight", "bias")),
    ...(place < weights.length - 1 ? { activation } : {}),
  }));
  return goldenSpec(mlp, layers, lossOf(mlp.note));
}

const engines: readonly Engine[] = [onnxRuntimeEngine(), referenceEngine("float32"), referenceEngine("float64")];
const files = goldenFiles<GoldenNetwork>("mlp-");

test("there are reference files", () => expect(files.length).toBeGreaterThan(0));

describe.each(engines)("$name", (engine) => {
  test.each(files)("%s", (name, file) => expectLikeReference(engine, specOf(name, file), file));
});
