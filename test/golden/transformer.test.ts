/** A transformer's block against PyTorch's autograd, written with the functional API: token and position embeddings, causal attention. */
import { describe, test } from "vitest";
import { embedding, functional, layerNorm, linear, selfAttention } from "../../coordinator/index.ts";
import type { Engine } from "../../shared/engine/engine.ts";
import { onnxRuntimeEngine } from "../../shared/engine/onnxruntime.ts";
import { referenceEngine } from "../../shared/engine/reference.ts";
import { add } from "../../shared/graph/operations/arithmetic.ts";
import type { ModelSpec } from "../../shared/nn/spec.ts";
import { goldenFiles } from "../support/golden.ts";
import { expectLikeReference, type GoldenNetwork } from "../support/golden-network.ts";

const shapeOf = ({ params }: GoldenNetwork, name: string): readonly [number, number] =>
  params[name]?.shape as readonly [number, number];

function specOf(file: GoldenNetwork): ModelSpec {
  const [vocabulary, width] = shapeOf(file, "tok.weight");
  const heads = Number(/(\d+) heads/.exec(file.note)?.[1]);
  const hidden = shapeOf(file, "up.weight")[0];
  const { layers } = functional((tokens, { use, parameter }) => {
    const positions = parameter({ name: "pos.weight", shape: shapeOf(file, "pos.weight") });
    const x = add(use(embedding(vocabulary, width), tokens, "tok"), positions);
    const normed = use(layerNorm(), x, "ln1");
    const seen = add(x, use(selfAttention(heads, { causal: true }), normed, ""));
    const up = use(linear(hidden, { activation: "gelu" }), use(layerNorm(), seen, "ln2"), "up");
    const y = add(seen, use(linear(width), up, "down"));
    return use(linear(vocabulary), use(layerNorm(), y, "lnf"), "head");
  });
  return {
    inputShape: file.x.shape.slice(1),
    target: { kind: "class", classes: vocabulary, positions: file.y.shape[1] as number },
    layers,
    loss: { kind: "crossEntropy" },
  };
}

const engines: readonly Engine[] = [onnxRuntimeEngine(), referenceEngine("float32"), referenceEngine("float64")];

describe.each(engines)("$name", (engine) => {
  test.each(goldenFiles<GoldenNetwork>("transformer-"))("%s", (_name, file) =>
    expectLikeReference(engine, specOf(file), file),
  );
});
