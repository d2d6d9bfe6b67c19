/**
 * Checks of what is wrong with a model's spec by itself, whatever the shapes: those are checked while the graph is built.
 * Both errors name the layer by its place in the list and its kind.
 */
import { LockstepError, unreachable } from "../errors.ts";
import { activations } from "./activations.ts";
import { initialisers } from "./initialisers.ts";
import { checkMetrics } from "./metrics.ts";
import type { LayerSpec, ModelSpec } from "./spec.ts";

/** A layer's name in messages: its place in the list, from 0, and its kind. */
export const layerName = (place: number, layer: LayerSpec): string => `layers[${place}] (${layer.kind})`;

const invalid = (message: string, hint: string): LockstepError => new LockstepError("CONFIG_INVALID", message, hint);

const isCount = (value: number): boolean => Number.isSafeInteger(value) && value > 0;

function checkLayer(
  layer: LayerSpec,
  place: number,
  { layers, loss }: Pick<ModelSpec, "layers" | "loss">,
  within = "",
): void {
  const name = `${within}${layerName(place, layer)}`;
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
    case "linear":
      if (!isCount(layer.units)) throw invalid(`${name}: units is ${layer.units}`, "Give a positive integer.");
      known(layer.activation, activations, "activation");
      known(layer.initialiser, initialisers, "initialiser");
      return;
    case "embedding":
    case "positionEmbedding":
      known(layer.initialiser, initialisers, "initialiser");
      return;
    case "residual":
      for (const [inner, each] of layer.layers.entries())
        checkLayer(each, inner, { layers: layer.layers, loss }, `${name}: `);
      return;
    case "custom":
      if (layer.apply !== undefined) return;
      throw invalid(
        `${name}: there is no function "${layer.name}"`,
        "Custom layers are functions, given in TypeScript.",
      );
    case "onnx":
    case "layerNorm":
    case "rmsNorm":
    case "groupNorm":
    case "selfAttention":
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
      if (within !== "" || place !== layers.length - 1 || loss.kind !== "crossEntropy") {
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
  if (loss.kind === "custom") {
    if (loss.perSample !== undefined) return;
    throw invalid(`loss: there is no function "${loss.name}"`, "Custom losses are functions, given in TypeScript.");
  }
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
  if (spec.layers.length === 0) throw invalid("the model has no layers", "Give at least one layer.");
  spec.layers.forEach((layer, place) => checkLayer(layer, place, spec));
  checkLoss(spec);
  checkMetrics(spec.metrics ?? [], spec.target);
}
