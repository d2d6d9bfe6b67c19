/** Layers of sequences [n, positions, width], and the branch around layers. */
import { LockstepError } from "../errors.ts";
import type { Tensor } from "../graph/operation.ts";
import { add, complement, scale } from "../graph/operations/arithmetic.ts";
import { lowerTriangle, transpose } from "../graph/operations/arrange.ts";
import { batchMatmul } from "../graph/operations/batch-matmul.ts";
import { reshape } from "../graph/operations/broadcast.ts";
import { lookup } from "../graph/operations/lookup.ts";
import { softmax } from "../graph/operations/softmax.ts";
import { fill } from "../graph/operations/source.ts";
import { type Dim, sameShape, shapeMismatch } from "../graph/values.ts";
import type { LayerContext, LayerSpec, NetworkContext } from "./spec.ts";

type Of<Kind extends LayerSpec["kind"]> = Extract<LayerSpec, { kind: Kind }>;

/** So low that a softmax gives exactly 0, and not infinite, as 0 · ∞ is no number. */
const NEVER = -1e30;

/** [n, positions, width], or an error that says so. */
function sequenceShape(name: string, x: Tensor): readonly [Dim, number, number] {
  if (x.shape.length === 3) return x.shape as [Dim, number, number];
  throw shapeMismatch(name, "a sequence [n, positions, width]", [x]);
}

export const sequenceLayers = {
  embedding(x: Tensor, spec: Of<"embedding">, { parameter, isTrained }: NetworkContext): Tensor {
    const { vocabulary, width, initialiser = "normal" } = spec;
    if (isTrained(x)) {
      throw new LockstepError(
        "CONFIG_INVALID",
        "an embedding looks up whole numbers, and what it is given comes from layers that are trained",
        "Put it in front of them, where the tokens of the data come in.",
      );
    }
    return lookup(parameter({ name: "weight", shape: [vocabulary, width], initialiser }), x);
  },
  positionEmbedding(x: Tensor, { initialiser = "normal" }: Of<"positionEmbedding">, context: LayerContext): Tensor {
    const [, positions, width] = sequenceShape("positionEmbedding", x);
    return add(x, context.parameter({ name: "weight", shape: [positions, width], initialiser }));
  },
  selfAttention(x: Tensor, spec: Of<"selfAttention">, { use }: LayerContext): Tensor {
    const { heads, causal = false, bias = true, initialiser = "xavier" } = spec;
    const [samples, positions, width] = sequenceShape("selfAttention", x);
    if (width % heads !== 0) throw shapeMismatch(`selfAttention of ${heads} heads`, "a width that they divide", [x]);
    const each = width / heads;
    const project = (from: Tensor, name: string): Tensor =>
      use({ kind: "linear", units: width, bias, initialiser }, from, name);
    /** A projection of x with its heads in front of the positions, its axes then in this order. */
    const inHeads = (name: string, order: readonly number[]): Tensor =>
      transpose(reshape(project(x, name), [samples, positions, heads, each]), order);
    const queries = scale(inHeads("q", [0, 2, 1, 3]), 1 / Math.sqrt(each));
    const scores = batchMatmul(queries, inHeads("k", [0, 2, 3, 1]));
    const ahead = complement(lowerTriangle(fill(x, [positions, positions], 1)));
    const weights = softmax(causal ? add(scores, scale(ahead, NEVER)) : scores);
    const mixed = transpose(batchMatmul(weights, inHeads("v", [0, 2, 1, 3])), [0, 2, 1, 3]);
    return project(reshape(mixed, [samples, positions, width]), "o");
  },
  residual(x: Tensor, { layers }: Of<"residual">, { use }: LayerContext): Tensor {
    const y = layers.reduce((input, layer) => use(layer, input), x);
    if (sameShape(x.shape, y.shape)) return add(x, y);
    throw shapeMismatch("residual", "layers whose output has the shape of their input", [x, y]);
  },
};
