/** Layers, losses and models in TypeScript: thin builders of the plain-data specs a config file resolves to. */
import type { Activation, LayerSpec, LossSpec, Sizes } from "./spec.ts";

type DenseOptions = Omit<Extract<LayerSpec, { kind: "dense" }>, "kind" | "units">;
type Conv2dOptions = Omit<Extract<LayerSpec, { kind: "conv2d" }>, "kind" | "filters" | "kernel">;
type PoolOptions = Omit<Extract<LayerSpec, { kind: "maxPool" }>, "kind" | "size">;

/** Every output is a weighted sum of all inputs plus a bias: y = x·Wᵀ + b, W [units, inputs]; other shapes are flattened. */
export const dense = (units: number, options: DenseOptions = {}): LayerSpec => ({ kind: "dense", units, ...options });

/**
 * Cross-correlates images [channels, height, width] with kernels W [filters, channels / groups, kernel] and adds a bias. Images
 * without channels, such as MNIST's, have one.
 */
export const conv2d = (filters: number, kernel: Sizes, options: Conv2dOptions = {}): LayerSpec => ({
  kind: "conv2d",
  filters,
  kernel,
  ...options,
});

/** The largest entry of every window; windows lie side by side unless there is a stride. */
export const maxPool = (size: Sizes, options: PoolOptions = {}): LayerSpec => ({ kind: "maxPool", size, ...options });
/** The mean of every window; padding counts as zeros. */
export const averagePool = (size: Sizes, options: PoolOptions = {}): LayerSpec => ({
  kind: "averagePool",
  size,
  ...options,
});
/** The mean of every channel: [channels, height, width] → [channels]. */
export const globalAveragePool = (): LayerSpec => ({ kind: "globalAveragePool" });
/** One row of all of a sample's values. */
export const flatten = (): LayerSpec => ({ kind: "flatten" });
/** The same values in row-major order under another shape of the sample. */
export const reshape = (...shape: readonly number[]): LayerSpec => ({ kind: "reshape", shape });

const activation = (name: Activation) => (): LayerSpec => ({ kind: "activation", activation: name });

/** max(x, 0) */
export const relu = activation("relu");
/** x for x > 0, else x/100 */
export const leakyRelu = activation("leakyRelu");
/** x for x > 0, else eˣ − 1 */
export const elu = activation("elu");
/** 1 / (1 + e⁻ˣ) */
export const sigmoid = activation("sigmoid");
export const tanh = activation("tanh");
/** x · sigmoid(x) */
export const silu = activation("silu");
/** log(1 + eˣ) */
export const softplus = activation("softplus");
/** x · Φ(x), Φ the standard normal distribution function */
export const gelu = activation("gelu");
/** GELU's approximation by tanh */
export const geluTanh = activation("geluTanh");

/** Sets a share `rate` of the values to 0 during training and scales the others by 1 / (1 − rate). */
export const dropout = (rate: number): LayerSpec => ({ kind: "dropout", rate });

/** Says that the outputs are probabilities; only as the last layer under crossEntropy, which takes the softmax anyway. */
export const softmax = (): LayerSpec => ({ kind: "softmax" });

/**
 * −Σ y·log softmax(x), for class labels; `labelSmoothing` spreads that share of the target evenly over the classes, `classWeights`
 * multiply the loss of each label's samples.
 */
export const crossEntropy = (options: Omit<Extract<LossSpec, { kind: "crossEntropy" }>, "kind"> = {}): LossSpec => ({
  kind: "crossEntropy",
  ...options,
});
/** For targets of 0 and 1; the outputs are logits. */
export const binaryCrossEntropy = (): LossSpec => ({ kind: "binaryCrossEntropy" });
export const meanSquaredError = (): LossSpec => ({ kind: "meanSquaredError" });

/** Layers one after the other. Without a loss, the one that suits the data: crossEntropy for labels, else meanSquaredError. */
export const sequential = (
  layers: readonly LayerSpec[],
  loss?: LossSpec,
): { readonly layers: readonly LayerSpec[]; readonly loss?: LossSpec } => ({
  layers,
  ...(loss === undefined ? {} : { loss }),
});
