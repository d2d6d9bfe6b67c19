/** Layers that normalise, each with a trained scale, and a shift where the mean was taken away. */
import type { Tensor } from "../graph/operation.ts";
import { add, multiply } from "../graph/operations/arithmetic.ts";
import { reshape } from "../graph/operations/broadcast.ts";
import { normalise, scaleToUnit } from "../graph/operations/normalise.ts";
import { type Dim, shapeMismatch } from "../graph/values.ts";
import { product } from "../shape.ts";
import type { LayerContext, LayerSpec } from "./spec.ts";

type Of<Kind extends LayerSpec["kind"]> = Extract<LayerSpec, { kind: Kind }>;

/** x · scale + shift, both trained; `inner` is the number of axes behind theirs. */
function scaledAndShifted(x: Tensor, size: number, inner: number, { parameter }: LayerContext): Tensor {
  const trained = (name: string, initialiser: "ones" | "zeros"): Tensor => {
    const vector = parameter({ name, shape: [size], initialiser });
    return reshape(vector, [size, ...Array<number>(inner).fill(1)]);
  };
  return add(multiply(x, trained("weight", "ones")), trained("bias", "zeros"));
}

const widthOf = (x: Tensor): number => x.shape.at(-1) as number;

export const normLayers = {
  layerNorm: (x: Tensor, { epsilon = 1e-5 }: Of<"layerNorm">, context: LayerContext): Tensor =>
    scaledAndShifted(normalise(x, epsilon), widthOf(x), 0, context),
  rmsNorm: (x: Tensor, { epsilon = 1e-5 }: Of<"rmsNorm">, { parameter }: LayerContext): Tensor =>
    multiply(scaleToUnit(x, epsilon), parameter({ name: "weight", shape: [widthOf(x)], initialiser: "ones" })),
  groupNorm(x: Tensor, { groups, epsilon = 1e-5 }: Of<"groupNorm">, context: LayerContext): Tensor {
    const [samples, channels, ...inner] = x.shape as [Dim, number, ...number[]];
    if (x.shape.length < 2 || channels % groups !== 0) {
      throw shapeMismatch("groupNorm", `[n, channels, …] with channels divisible by groups = ${groups}`, [x]);
    }
    const grouped = reshape(x, [samples, groups, (channels / groups) * product(inner)]);
    return scaledAndShifted(reshape(normalise(grouped, epsilon), x.shape), channels, inner.length, context);
  },
};
