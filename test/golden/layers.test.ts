/**
 * Networks of other layers than dense ones against PyTorch's autograd. A file's note lists its layers, such as
 * "Conv2d(2,4,3,s2,p1) relu AvgPool(2) flatten Linear".
 */
import { describe, expect, test } from "vitest";
import type { Engine } from "../../shared/engine/engine.ts";
import { onnxRuntimeEngine } from "../../shared/engine/onnxruntime.ts";
import { referenceEngine } from "../../shared/engine/reference.ts";
import type { Activation } from "../../shared/nn/activations.ts";
import type { LayerSpec } from "../../shared/nn/spec.ts";
import { goldenFiles } from "../support/golden.ts";
import { expectLikeReference, type GoldenNetwork, goldenSpec } from "../support/golden-network.ts";

/** "2,4,3,s2,p1,groups=2" as numbers in order and options by name. */
function argumentsOf(text: string): { numbers: number[]; options: Record<string, number> } {
  const words = text.split(",").map((word) => word.trim());
  const numbers = words.filter((word) => /^\d+$/.test(word)).map(Number);
  const named = words.flatMap((word) => {
    const [, name, value] = /^([a-z]+)[= ]?([\d.e-]+)$/.exec(word) ?? [];
    return name === undefined ? [] : [[name, Number(value)] as const];
  });
  return { numbers, options: Object.fromEntries(named) };
}

/** The layer that a word of a note stands for; the units of a Linear are in its weight's shape. */
function layerOf(word: string, text: string, weight: readonly number[]): LayerSpec {
  const { numbers, options } = argumentsOf(text);
  const { s: stride, p: padding, d: dilation, groups } = options;
  const window = { ...(stride === undefined ? {} : { stride }), ...(padding === undefined ? {} : { padding }) };
  switch (word) {
    case "Conv2d":
      return {
        kind: "conv2d",
        filters: numbers[1] as number,
        kernel: numbers[2] as number,
        ...window,
        ...(dilation === undefined ? {} : { dilation }),
        ...(groups === undefined ? {} : { groups }),
      };
    case "MaxPool":
    case "AvgPool":
      return { kind: word === "MaxPool" ? "maxPool" : "averagePool", size: numbers[0] as number, ...window };
    case "Linear":
      return { kind: "dense", units: weight[0] as number };
    case "GroupNorm":
      return { kind: "groupNorm", groups: numbers[0] as number, epsilon: options["eps"] as number };
    case "LayerNorm":
      return { kind: "layerNorm", epsilon: options["eps"] as number };
    case "flatten":
      return { kind: "flatten" };
    default:
      return { kind: "activation", activation: word as Activation };
  }
}

function layersOf({ note, params }: GoldenNetwork): LayerSpec[] {
  const words = [...note.replace(/, NCHW$/, "").matchAll(/(\w+)(?:\(([^)]*)\))?/g)];
  return words.map(([, word, text], place) =>
    layerOf(word as string, text ?? "", params[`${place}.weight`]?.shape ?? []),
  );
}

const engines: readonly Engine[] = [onnxRuntimeEngine(), referenceEngine("float32"), referenceEngine("float64")];
const files = ["cnn-", "groupnorm", "layernorm"].flatMap((prefix) => goldenFiles<GoldenNetwork>(prefix));

test("there are reference files", () => expect(files.length).toBeGreaterThan(0));

describe.each(engines)("$name", (engine) => {
  test.each(files)("%s", (_name, file) =>
    expectLikeReference(engine, goldenSpec(file, layersOf(file), { kind: "crossEntropy" }), file),
  );
});
