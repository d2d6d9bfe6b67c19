/**
 * Models as plain data: what a config file resolves to and what is stored with a run. Numbers are checked here, shapes
 * while the graph is built; both errors name the layer by its place in the list and its kind.
 */
import type { TargetSpec } from "../data/target.ts";
import { LockstepError, unreachable } from "../errors.ts";
import { activations, type Activation } from "./activations.ts";
import { initialisers, type Initialiser } from "./initialisers.ts";
import { checkMetrics, type MetricSpec } from "./metrics.ts";

export type { Activation, Initialiser };

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
  | { readonly kind: "activation"; readonly activation: Activation }
  /** While training, each entry is zero with probability `rate` and else divided by 1 − rate. */
  | { readonly kind: "dropout"; readonly rate: number }
  /** Last under crossEntropy only: it says what the loss and the prediction do anyway. */
  | { readonly kind: "softmax" };

export type LossSpec =
  /**
   * −log softmax(scores)[label]; labelSmoothing moves that share of the target to all classes evenly. classWeights multiply the
   * loss of a sample by its label's weight; `balanced`: samples / (classes × samples of that label) of the training data, whose
   * mean over the samples is 1. The mean is taken over samples, not over weights: a sample's gradient does not depend on its batch.
   */
  | {
      readonly kind: "crossEntropy";
      readonly labelSmoothing?: number;
      readonly classWeights?: "balanced" | readonly number[];
    }
  /** Of scores before the sigmoid, against values in 0..1; the mean over a sample's outputs. */
  | { readonly kind: "binaryCrossEntropy" }
  /** The mean over a sample's outputs of (output − target)². */
  | { readonly kind: "meanSquaredError" };

export interface ModelSpec {
  /** One sample's shape, e.g. [784] or [28, 28]. */
  readonly inputShape: readonly number[];
  readonly target: TargetSpec;
  readonly layers: readonly LayerSpec[];
  readonly loss: LossSpec;
  /** What evaluations measure besides the loss and, for labels, the accuracy. */
  readonly metrics?: readonly MetricSpec[];
}

/** A layer's name in messages: its place in the list, from 0, and its kind. */
export const layerName = (place: number, layer: LayerSpec): string => `layers[${place}] (${layer.kind})`;

const invalid = (message: string, hint: string): LockstepError => new LockstepError("CONFIG_INVALID", message, hint);

const isCount = (value: number): boolean => Number.isSafeInteger(value) && value > 0;

function checkLayer(layer: LayerSpec, place: number, { layers, loss }: ModelSpec): void {
  const name = layerName(place, layer);
  const known = (word: string | undefined, words: object, what: string): void => {
    if (word === undefined || Object.hasOwn(words, word)) return;
    throw invalid(`${name}: there is no ${what} "${word}"`, `There are: ${Object.keys(words).join(", ")}.`);
  };
  switch (layer.kind) {
    case "conv2d":
      if (!isCount(layer.filters)) throw invalid(`${name}: filters is ${layer.filters}`, "Give a positive integer.");
      known(layer.activation, activations, "activation");
      known(layer.initialiser, initialisers, "initialiser");
      return;
    case "maxPool":
    case "averagePool":
    case "globalAveragePool":
    case "flatten":
    case "reshape":
      return; // what can be wrong with them depends on the shape they are given
    case "dense":
      if (!isCount(layer.units)) throw invalid(`${name}: units is ${layer.units}`, "Give a positive integer.");
      known(layer.activation, activations, "activation");
      known(layer.initialiser, initialisers, "initialiser");
      return;
    case "activation":
      known(layer.activation, activations, "activation");
      return;
    case "dropout":
      if (!(layer.rate >= 0 && layer.rate < 1)) {
        throw invalid(`${name}: rate is ${layer.rate}`, "Give the share of entries to drop, at least 0 and below 1.");
      }
      return;
    case "softmax":
      if (place !== layers.length - 1 || loss.kind !== "crossEntropy") {
        throw invalid(
          `${name} under ${loss.kind}, layer ${place + 1} of ${layers.length}`,
          "A softmax layer is the last one, under crossEntropy, which takes scores and applies the softmax itself.",
        );
      }
      return;
    default:
      unreachable(layer);
  }
}

function checkLoss({ loss, target }: ModelSpec): void {
  const wanted = loss.kind === "crossEntropy" ? "class" : "values";
  if (target.kind !== wanted) {
    const hint =
      target.kind === "class"
        ? "Class labels train under crossEntropy."
        : "Values train under meanSquaredError or binaryCrossEntropy.";
    throw invalid(`loss ${loss.kind} wants targets of kind "${wanted}", the data has "${target.kind}"`, hint);
  }
  const smoothing = loss.kind === "crossEntropy" ? (loss.labelSmoothing ?? 0) : 0;
  if (!(smoothing >= 0 && smoothing < 1)) {
    throw invalid(`loss.labelSmoothing is ${smoothing}`, "Give a share, at least 0 and below 1.");
  }
  const weights = loss.kind === "crossEntropy" ? loss.classWeights : undefined;
  if (weights === undefined || target.kind !== "class") return;
  if (weights === "balanced") throw invalid("loss.classWeights is balanced", "Count the labels and give the weights.");
  if (weights.length !== target.classes || !weights.every((weight) => weight >= 0 && Number.isFinite(weight))) {
    throw invalid(
      `loss.classWeights is [${weights.join(", ")}], the data has ${target.classes} classes`,
      "Give one weight of at least 0 for each class, or balanced.",
    );
  }
}

/** Throws CONFIG_INVALID for the first thing that is wrong by itself, whatever the shapes. */
export function checkModelSpec(spec: ModelSpec): void {
  if (spec.inputShape.length === 0 || !spec.inputShape.every(isCount)) {
    throw invalid(
      `inputShape is [${spec.inputShape.join(", ")}]`,
      "Give the positive sizes of one sample, e.g. [784].",
    );
  }
  if (spec.layers.length === 0) throw invalid("the model has no layers", "Give at least one dense layer.");
  spec.layers.forEach((layer, place) => checkLayer(layer, place, spec));
  checkLoss(spec);
  checkMetrics(spec.metrics ?? [], spec.target);
}
