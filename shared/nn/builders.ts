/** Layers, losses and models in TypeScript: thin builders of the plain-data specs a config file resolves to. */
import { checkGiven, type Form, mapOf, optional, optionsOf, share, size, truth } from "../arguments.ts";
import type { Activation } from "./activations.ts";
import type { LayerFunction, LayerSpec, LossFunctions, LossSpec, Sizes } from "./spec.ts";

type DenseOptions = Omit<Extract<LayerSpec, { kind: "dense" }>, "kind" | "units">;
type Conv2dOptions = Omit<Extract<LayerSpec, { kind: "conv2d" }>, "kind" | "filters" | "kernel">;
type Initialised = Pick<Extract<LayerSpec, { kind: "embedding" }>, "initialiser">;
type Epsilon = Pick<Extract<LayerSpec, { kind: "layerNorm" }>, "epsilon">;
type AttentionOptions = Omit<Extract<LayerSpec, { kind: "selfAttention" }>, "kind" | "heads">;
interface TransformerOptions {
  readonly heads: number;
  readonly hidden?: number;
  readonly causal?: boolean;
  /** The share of what each branch adds that is dropped while training. */
  readonly dropout?: number;
}
type OnnxOptions = Pick<Extract<LayerSpec, { kind: "onnx" }>, "output" | "prefix">;
type PoolOptions = Omit<Extract<LayerSpec, { kind: "maxPool" }>, "kind" | "size">;

/** Every output is a weighted sum of all inputs plus a bias: y = x·Wᵀ + b, W [units, inputs]; other shapes are flattened. */
export const dense = (units: number, options: DenseOptions = {}): LayerSpec => ({
  kind: "dense",
  units,
  ...optionsOf("dense", options),
});

/**
 * Cross-correlates images [channels, height, width] with kernels W [filters, channels / groups, kernel] and adds a bias. Images
 * without channels, such as MNIST's, have one.
 */
export const conv2d = (filters: number, kernel: Sizes, options: Conv2dOptions = {}): LayerSpec => ({
  kind: "conv2d",
  filters,
  kernel,
  ...optionsOf("conv2d", options),
});

/** y = x·Wᵀ + b over the last axis, W [units, inputs], at every position before it. */
export const linear = (units: number, options: DenseOptions = {}): LayerSpec => ({
  kind: "linear",
  units,
  ...optionsOf("linear", options),
});

/** A trained row of `width` values for each token 0..vocabulary-1: [positions] → [positions, width]. */
export const embedding = (vocabulary: number, width: number, options: Initialised = {}): LayerSpec => ({
  kind: "embedding",
  vocabulary,
  width,
  ...optionsOf("embedding", options),
});
/** Adds a trained row to each position of [positions, width]. */
export const positionEmbedding = (options: Initialised = {}): LayerSpec => ({
  kind: "positionEmbedding",
  ...optionsOf("positionEmbedding", options),
});

/** Mean 0 and variance 1 over the last axis, then a trained scale and shift. */
export const layerNorm = (options: Epsilon = {}): LayerSpec => ({
  kind: "layerNorm",
  ...optionsOf("layerNorm", options),
});
/** Mean square 1 over the last axis, then a trained scale. */
export const rmsNorm = (options: Epsilon = {}): LayerSpec => ({ kind: "rmsNorm", ...optionsOf("rmsNorm", options) });
/** Mean 0 and variance 1 over each of `groups` parts of the channels, then a trained scale and shift for each channel. */
export const groupNorm = (groups: number, options: Epsilon = {}): LayerSpec => ({
  kind: "groupNorm",
  groups,
  ...optionsOf("groupNorm", options),
});

/** Multi-head self-attention over [positions, width]; `causal`: a position sees itself and those before it. */
export const selfAttention = (heads: number, options: AttentionOptions = {}): LayerSpec => ({
  kind: "selfAttention",
  heads,
  ...optionsOf("selfAttention", options),
});
/** x + f(x), f being these layers, whose output has the shape of their input. */
export const residual = (layers: readonly LayerSpec[]): LayerSpec => ({ kind: "residual", layers });

const transformerOptions: { readonly [Name in keyof TransformerOptions]-?: Form } = {
  heads: size,
  hidden: optional(size),
  causal: optional(truth),
  dropout: optional(share),
};
const transformerForms = { width: size, options: mapOf(transformerOptions) };

/** Attention and a perceptron of `hidden` units (4 · width unless given), each behind a layer norm and with a branch around it. */
export const transformerBlock = (width: number, options: TransformerOptions): LayerSpec[] => {
  checkGiven(
    "transformerBlock: ",
    { width, options },
    transformerForms,
    "It is called as transformerBlock(64, { heads: 4 }).",
  );
  const { heads, hidden = 4 * width, causal = false, dropout: rate = 0 } = options;
  const dropped = rate > 0 ? [dropout(rate)] : [];
  return [
    residual([layerNorm(), selfAttention(heads, { causal }), ...dropped]),
    residual([layerNorm(), linear(hidden, { activation: "gelu" }), linear(width), ...dropped]),
  ];
};

/**
 * A layer of one's own: a function of the operations in `ops` from x [samples, …] to its output [samples, …], of which no row
 * depends on another sample. The second argument gives parameters, masks and other layers.
 */
export const layer = (name: string, apply: LayerFunction): LayerSpec => ({ kind: "custom", name, apply });

/**
 * A loss of one's own: `perSample` takes the last layer's output and the targets to [samples], one loss for each; `predict`
 * says what a prediction is, by default the output.
 */
export const loss = (
  name: string,
  perSample: LossFunctions["perSample"],
  predict?: LossFunctions["predict"],
): LossSpec => ({ kind: "custom", name, perSample, ...(predict === undefined ? {} : { predict }) });

/**
 * The network in an ONNX file, as far as its tensor `output` (by default its only output). Its float tensors are parameters, named
 * as in the file with `prefix` in front; `groups` of the config freeze some or all of them. Layers behind it are its new head.
 */
export const onnx = (file: string, options: OnnxOptions = {}): LayerSpec => ({
  kind: "onnx",
  file,
  ...optionsOf("onnx", options),
});

/** The largest entry of every window; windows lie side by side unless there is a stride. */
export const maxPool = (size: Sizes, options: PoolOptions = {}): LayerSpec => ({
  kind: "maxPool",
  size,
  ...optionsOf("maxPool", options),
});
/** The mean of every window; padding counts as zeros. */
export const averagePool = (size: Sizes, options: PoolOptions = {}): LayerSpec => ({
  kind: "averagePool",
  size,
  ...optionsOf("averagePool", options),
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
  ...optionsOf("crossEntropy", options),
});
/** For targets of 0 and 1; the outputs are logits. */
export const binaryCrossEntropy = (): LossSpec => ({ kind: "binaryCrossEntropy" });
export const meanSquaredError = (): LossSpec => ({ kind: "meanSquaredError" });

/**
 * A network as a function of its input: layers are applied with `use`, branches are tensors used twice, and what is between
 * layers are operations. Parameters are named as in `use(layer, x, name)`, or by the layers' numbers in the order of use.
 */
export const functional = (build: LayerFunction, lossSpec?: LossSpec): ReturnType<typeof sequential> =>
  sequential([layer("network", build)], lossSpec);

/** Layers one after the other. Without a loss, the one that suits the data: crossEntropy for labels, else meanSquaredError. */
export const sequential = (
  layers: readonly LayerSpec[],
  lossSpec?: LossSpec,
): { readonly layers: readonly LayerSpec[]; readonly loss?: LossSpec } => ({
  layers,
  ...(lossSpec === undefined ? {} : { loss: lossSpec }),
});
