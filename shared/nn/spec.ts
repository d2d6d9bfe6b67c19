/**
 * Models as plain data: what a config file resolves to and what is stored with a run. Only custom layers and losses hold
 * functions; a run keeps the graphs that came of them.
 */
import type { TargetSpec } from "../data/target.ts";
import type { Tensor } from "../graph/operation.ts";
import type { OnnxFile } from "../graph/onnx/file.ts";
import type { Shape } from "../graph/values.ts";
import type { Activation } from "./activations.ts";
import type { Initialiser } from "./initialisers.ts";
import type { MetricSpec } from "./metrics.ts";

/** One number for both, or [height, width]. */
export type Sizes = number | readonly [number, number];

export type LayerSpec =
  /** y = x·Wᵀ + b over the flattened sample; the initialiser is for W, b starts at zero. */
  | {
      readonly kind: "dense";
      readonly units: number;
      readonly activation?: Activation;
      readonly bias?: boolean;
      readonly initialiser?: Initialiser;
    }
  /**
   * Cross-correlates images [channels, height, width], or [height, width] of one channel, with `filters` kernels
   * [channels / groups, kernel]. Padding is added on both sides; "same" keeps height and width and needs a stride of 1.
   */
  | {
      readonly kind: "conv2d";
      readonly filters: number;
      readonly kernel: Sizes;
      readonly stride?: Sizes;
      readonly padding?: Sizes | "same";
      readonly dilation?: Sizes;
      readonly groups?: number;
      readonly activation?: Activation;
      readonly bias?: boolean;
      readonly initialiser?: Initialiser;
    }
  /** The largest entry of every window of `size`; windows are `stride` apart, by default side by side. */
  | { readonly kind: "maxPool"; readonly size: Sizes; readonly stride?: Sizes; readonly padding?: Sizes }
  /** The mean of every window; padding counts as zeros. */
  | { readonly kind: "averagePool"; readonly size: Sizes; readonly stride?: Sizes; readonly padding?: Sizes }
  /** The mean of every channel: [channels, height, width] → [channels]. */
  | { readonly kind: "globalAveragePool" }
  /** One row of all of a sample's values. Dense layers do it by themselves. */
  | { readonly kind: "flatten" }
  /** The same values, in row-major order, under another shape of the sample. */
  | { readonly kind: "reshape"; readonly shape: readonly number[] }
  /** y = x·Wᵀ + b over the last axis, at every position before it. */
  | {
      readonly kind: "linear";
      readonly units: number;
      readonly activation?: Activation;
      readonly bias?: boolean;
      readonly initialiser?: Initialiser;
    }
  /** A trained row of `width` values for each of `vocabulary` tokens: [positions] → [positions, width]. */
  | {
      readonly kind: "embedding";
      readonly vocabulary: number;
      readonly width: number;
      readonly initialiser?: Initialiser;
    }
  /** Adds a trained row to each position of [positions, width]. */
  | { readonly kind: "positionEmbedding"; readonly initialiser?: Initialiser }
  /** Mean 0 and variance 1 over the last axis, then a trained scale and shift. */
  | { readonly kind: "layerNorm"; readonly epsilon?: number }
  /** Mean square 1 over the last axis, then a trained scale. */
  | { readonly kind: "rmsNorm"; readonly epsilon?: number }
  /** Mean 0 and variance 1 over each of `groups` parts of the channels [channels, …], then a trained scale and shift for each channel. */
  | { readonly kind: "groupNorm"; readonly groups: number; readonly epsilon?: number }
  /**
   * Multi-head self-attention over [positions, width] (Vaswani et al., 2017): softmax(q·kᵀ/√(width / heads))·v in each head, then an
   * output projection. `causal`: a position sees itself and those before it.
   */
  | {
      readonly kind: "selfAttention";
      readonly heads: number;
      readonly causal?: boolean;
      readonly bias?: boolean;
      readonly initialiser?: Initialiser;
    }
  /** x + f(x), f being these layers, whose output has the shape of their input. */
  | { readonly kind: "residual"; readonly layers: readonly LayerSpec[] }
  /**
   * The network in an ONNX file, as far as its tensor `output` (by default its only output). Its float tensors are parameters that
   * start as they are there, named as there with `prefix` in front.
   */
  | {
      readonly kind: "onnx";
      readonly file: string;
      readonly output?: string;
      readonly prefix?: string;
    }
  /** Written in TypeScript. In the config.json of a run it has no function: the run has its graphs. */
  | { readonly kind: "custom"; readonly name: string; readonly apply?: LayerFunction }
  | { readonly kind: "activation"; readonly activation: Activation }
  /** While training, each entry is zero with probability `rate` and else divided by 1 − rate. */
  | { readonly kind: "dropout"; readonly rate: number }
  /** Last under crossEntropy only: it says what the loss and the prediction do anyway. */
  | { readonly kind: "softmax" };

export type LossSpec =
  /**
   * −log softmax(scores)[label]; labelSmoothing moves that share of the target to all classes evenly. classWeights multiply the
   * loss of a sample by its label's weight; `balanced`: samples / (classes × samples of that label) of the training data, without
   * what is held out, whose mean over the samples is 1; where each position has a label, positions are counted. The mean is taken over samples, not over weights: a sample's gradient does not depend on its batch.
   */
  | {
      readonly kind: "crossEntropy";
      readonly labelSmoothing?: number;
      readonly classWeights?: "balanced" | readonly number[];
    }
  /** Of scores before the sigmoid, against values in 0..1; the mean over a sample's outputs. */
  | { readonly kind: "binaryCrossEntropy" }
  /** The mean over a sample's outputs of (output − target)². */
  | { readonly kind: "meanSquaredError" }
  /** Written in TypeScript, as for layers. */
  | ({ readonly kind: "custom"; readonly name: string } & Partial<LossFunctions>);

/** A layer of one's own: operations from x [samples, …] to its output [samples, …]. */
export type LayerFunction = (x: Tensor, layer: LayerContext) => Tensor;

/** What a layer may ask for. */
export interface LayerContext {
  /** Whether gradients are wanted; dropout does nothing else. */
  readonly training: boolean;
  /** A trained tensor; its name gets the layer's in front. To share it, ask once and use it several times. */
  readonly parameter: (parameter: ParameterSpec) => Tensor;
  /** A tensor of 0 and 1/(1−rate), another one at every step. */
  readonly mask: (rate: number, shape: Shape) => Tensor;
  /** Applies a layer within this one; its parameters are named after `name` (as they are, if it is ""), or its number in the order of use. */
  readonly use: (layer: LayerSpec, x: Tensor, name?: string) => Tensor;
}

/** What Lockstep's own layers may ask for besides. */
export interface NetworkContext extends LayerContext {
  /** A parameter that starts from a file, under its name there. */
  readonly stored: (parameter: ParameterSpec) => Tensor;
  /** An ONNX file that a layer names. */
  readonly fileOf: (layer: Extract<LayerSpec, { kind: "onnx" }>) => OnnxFile;
  /** Whether a tensor is a parameter that is trained, or is computed from one. */
  readonly isTrained: (tensor: Tensor) => boolean;
}

/** A trained tensor. Its fans, for initialisers, are by default those of a weight [out, in, …]. */
export interface ParameterSpec {
  readonly name: string;
  readonly shape: readonly number[];
  /** By default xavier, and zeros for vectors. */
  readonly initialiser?: Initialiser;
  readonly fanIn?: number;
  readonly fanOut?: number;
  /** It keeps its start, whatever the run's groups say (false). */
  readonly frozen?: boolean;
}

export interface LossFunctions {
  /** The loss of every sample, [samples], from the last layer's output [samples, …] and the targets. */
  readonly perSample: (output: Tensor, targets: Tensor) => Tensor;
  /** What a prediction is, by default the output itself. Accuracy and metrics go by it. */
  readonly predict: (output: Tensor) => Tensor;
}

export interface ModelSpec {
  /** One sample's shape, e.g. [784] or [28, 28]. */
  readonly inputShape: readonly number[];
  readonly target: TargetSpec;
  readonly layers: readonly LayerSpec[];
  readonly loss: LossSpec;
  /** What evaluations measure besides the loss and, for labels, the accuracy. */
  readonly metrics?: readonly MetricSpec[];
  /** Nobody asked for these metrics: those that cannot be measured are left out, not refused. */
  readonly metricsAreUsual?: boolean;
  /** The ONNX files that layers name, by path: whoever compiles a model reads them first. */
  readonly files?: ReadonlyMap<string, OnnxFile>;
}
