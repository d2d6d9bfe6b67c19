/** Losses and what is counted beside them, per sample: [samples]. */
import { returnedBy, type Tensor } from "../graph/operation.ts";
import { add, multiply, scale, subtract } from "../graph/operations/arithmetic.ts";
import { sum } from "../graph/operations/broadcast.ts";
import { sigmoid, softplus } from "../graph/operations/elementwise.ts";
import { crossEntropy, oneHot } from "../graph/operations/labels.ts";
import { constantOperation } from "../graph/operations/source.ts";
import { hardmax, logSoftmax, softmax } from "../graph/operations/softmax.ts";
import { sameShape, shapeMismatch } from "../graph/values.ts";
import type { LossFunctions, LossSpec } from "./spec.ts";

const widthOf = (scores: Tensor): number => scores.shape[1] as number;
const meanOverOutputs = (x: Tensor): Tensor => scale(sum(x, [1]), 1 / widthOf(x));

interface Loss<Spec> {
  /** The loss of every sample, from the last layer's output and the targets. */
  readonly perSample: (scores: Tensor, targets: Tensor, spec: Spec) => Tensor;
  /** What predictions of the model are, and their name in model.onnx. */
  readonly prediction: { readonly name: string; readonly of: (scores: Tensor, spec: Spec) => Tensor };
}
type Losses = { readonly [Kind in LossSpec["kind"]]: Loss<Extract<LossSpec, { kind: Kind }>> };

const losses: Losses = {
  crossEntropy: {
    perSample(scores, labels, { labelSmoothing = 0, classWeights }) {
      const plain = crossEntropy(scores, labels);
      const even = (): Tensor => meanOverOutputs(scale(logSoftmax(scores), -1));
      const loss = labelSmoothing === 0 ? plain : add(scale(plain, 1 - labelSmoothing), scale(even(), labelSmoothing));
      // What is balanced has its numbers by now.
      return classWeights === undefined || classWeights === "balanced"
        ? loss
        : multiply(loss, weightsOf(labels, classWeights));
    },
    prediction: { name: "probabilities", of: (scores) => softmax(scores) },
  },
  binaryCrossEntropy: {
    /** −t·log σ(x) − (1 − t)·log(1 − σ(x)) = log(1 + eˣ) − t·x, which doesn't overflow. */
    perSample: (scores, targets) => meanOverOutputs(subtract(softplus(scores), multiply(targets, scores))),
    prediction: { name: "probabilities", of: sigmoid },
  },
  meanSquaredError: {
    perSample(scores, targets) {
      const error = subtract(scores, targets);
      return meanOverOutputs(multiply(error, error));
    },
    prediction: { name: "output", of: (scores) => scores },
  },
  custom: {
    perSample(output, targets, { name, perSample }) {
      const loss = returnedBy(`the loss ${name}`, (perSample as LossFunctions["perSample"])(output, targets));
      const wanted = [{ rows: 1 }];
      if (sameShape(loss.shape, wanted)) return loss;
      throw shapeMismatch(`the loss ${name}`, "a function whose result is [samples], one number for each", [loss]);
    },
    prediction: {
      name: "output",
      of: (output, { name, predict }) =>
        predict === undefined ? output : returnedBy(`predict of the loss ${name}`, predict(output)),
    },
  },
};

/** The weight of each sample's label. */
function weightsOf(labels: Tensor, weights: readonly number[]): Tensor {
  const row = labels.apply(constantOperation, [], { shape: [weights.length], values: weights });
  return sum(multiply(oneHot(labels, weights.length), row), [1]);
}

export const lossOf = <Spec extends LossSpec>(spec: Spec): Loss<Spec> => losses[spec.kind] as Loss<Spec>;

/** The number of samples whose largest score (the first of equals) is at the label. */
export const correctOf = (scores: Tensor, labels: Tensor): Tensor =>
  sum(multiply(hardmax(scores), oneHot(labels, widthOf(scores))), [0, 1]);
