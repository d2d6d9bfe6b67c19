/** Layers of images [n, channels, height, width]. */
import { LockstepError } from "../errors.ts";
import type { Tensor } from "../graph/operation.ts";
import { averagePool, globalAveragePool } from "../graph/operations/average-pool.ts";
import { reshape } from "../graph/operations/broadcast.ts";
import { conv2d } from "../graph/operations/convolution.ts";
import { maxPool } from "../graph/operations/max-pool.ts";
import type { PoolOptions } from "../graph/operations/pool.ts";
import { type Dim, shapeMismatch } from "../graph/values.ts";
import { product } from "../shape.ts";
import { activations } from "./activations.ts";
import type { LayerContext, LayerSpec, Sizes } from "./spec.ts";

type Of<Kind extends LayerSpec["kind"]> = Extract<LayerSpec, { kind: Kind }>;

const pair = (sizes: Sizes): readonly [number, number] => (typeof sizes === "number" ? [sizes, sizes] : sizes);

/** Padding of both sides as [top, left, bottom, right]. */
function bothSides(sizes: Sizes): number[] {
  const [height, width] = pair(sizes);
  return [height, width, height, width];
}

/** The padding that keeps height and width; where it is odd, there is one more below and to the right. */
function samePadding(kernel: Sizes, dilation: Sizes, stride: Sizes): number[] {
  if (pair(stride).some((step) => step !== 1)) {
    throw new LockstepError(
      "CONFIG_INVALID",
      `padding "same" with a stride of ${pair(stride).join("×")}`,
      "It keeps height and width, so the stride must be 1; give the padding as a number.",
    );
  }
  const total = pair(kernel).map((size, axis) => (pair(dilation)[axis] as number) * (size - 1));
  const before = total.map((entries) => Math.floor(entries / 2));
  return [...before, ...total.map((entries, axis) => entries - (before[axis] as number))];
}

/** Images without channels have one. */
function withChannels(x: Tensor): Tensor {
  if (x.shape.length !== 3) return x;
  const [samples, height, width] = x.shape as [Dim, Dim, Dim];
  return reshape(x, [samples, 1, height, width]);
}

const poolOptions = ({ size, stride = size, padding = 0 }: Of<"maxPool"> | Of<"averagePool">): PoolOptions => ({
  kernel: pair(size),
  stride: pair(stride),
  padding: bothSides(padding),
});

export const imageLayers = {
  conv2d(input: Tensor, spec: Of<"conv2d">, context: LayerContext): Tensor {
    const { filters, kernel, stride = 1, padding = 0, dilation = 1, groups = 1, bias = true } = spec;
    const { activation, initialiser = "xavier" } = spec;
    const x = withChannels(input);
    const channels = x.shape[1];
    if (x.shape.length !== 4 || typeof channels !== "number" || channels % groups !== 0 || filters % groups !== 0) {
      const wanted = `images [n, channels, height, width] with channels and ${filters} filters divisible by groups = ${groups}`;
      throw shapeMismatch("conv2d", wanted, [x]);
    }
    const size = pair(kernel);
    const shape = [filters, channels / groups, ...size];
    const fanOut = (filters / groups) * product(size);
    const weight = context.parameter({ name: "weight", shape, initialiser, fanOut });
    const start = bias ? context.parameter({ name: "bias", shape: [filters] }) : undefined;
    const y = conv2d(x, weight, start, {
      stride: pair(stride),
      padding: padding === "same" ? samePadding(kernel, dilation, stride) : bothSides(padding),
      dilation: pair(dilation),
      groups,
    });
    return activation === undefined ? y : activations[activation](y);
  },
  maxPool: (x: Tensor, spec: Of<"maxPool">): Tensor => maxPool(withChannels(x), poolOptions(spec)),
  averagePool: (x: Tensor, spec: Of<"averagePool">): Tensor => averagePool(withChannels(x), poolOptions(spec)),
  globalAveragePool: (x: Tensor): Tensor => globalAveragePool(withChannels(x)),
};
