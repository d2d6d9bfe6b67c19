/**
 * What an evaluation measures besides the loss and the accuracy: for each metric the sums over samples that a graph computes, and
 * the figure they stand for. Sums are added along the canonical tree like all others, each sample once. Counts are exact up to
 * 2²⁴ samples, where float32 ends.
 */
import { exponential } from "../elementary.ts";
import { LockstepError } from "../errors.ts";
import type { Tensor } from "../graph/operation.ts";
import { multiply, subtract } from "../graph/operations/arithmetic.ts";
import { expand, reshape, sum, sumSamples } from "../graph/operations/broadcast.ts";
import { absolute, step } from "../graph/operations/elementwise.ts";
import { crossEntropy, oneHot } from "../graph/operations/labels.ts";
import { matmul } from "../graph/operations/matmul.ts";
import { hardmax } from "../graph/operations/softmax.ts";
import { fill } from "../graph/operations/source.ts";
import { describeShape, type Dim, sameShape } from "../graph/values.ts";
import type { TargetSpec } from "../data/target.ts";

export type MetricSpec =
  /** The share of samples whose label is among the k largest scores; of equal scores the label's counts as the largest. */
  | { readonly kind: "topK"; readonly k: number }
  /** How many samples, or positions of such, of each label (row) were taken for each class (column). */
  | { readonly kind: "confusion" }
  /** e to the mean cross-entropy, without class weights and smoothing. None from a cross-entropy of 709.8 on, where it is too large for a number. */
  | { readonly kind: "perplexity" }
  /** The mean of |prediction − target| over samples and outputs. */
  | { readonly kind: "meanAbsoluteError" }
  /** The root of the mean of (prediction − target)² over samples and outputs. */
  | { readonly kind: "rootMeanSquaredError" };

/** A figure: a number, or the rows of a table. */
export type Figures = Readonly<Record<string, number | readonly (readonly number[])[]>>;

/** More classes make a table nobody reads, and sums larger than many a model. */
const MOST_CONFUSED = 100;

const numberOfOutputs = (target: TargetSpec): number => (target.kind === "class" ? target.classes : target.width);

/** What the figure is called: `top5`, and the others as they are. */
export const figureName = (metric: MetricSpec): string => (metric.kind === "topK" ? `top${metric.k}` : metric.kind);

/** Those that suit the targets where a config says nothing. */
export const usualMetrics = ({ kind }: TargetSpec): readonly MetricSpec[] =>
  kind === "class" ? [] : [{ kind: "meanAbsoluteError" }, { kind: "rootMeanSquaredError" }];

/** Throws CONFIG_INVALID for a metric that does not suit the targets. */
export function checkMetrics(metrics: readonly MetricSpec[], target: TargetSpec): void {
  for (const metric of metrics) {
    const ofValues = metric.kind === "meanAbsoluteError" || metric.kind === "rootMeanSquaredError";
    const outputs = numberOfOutputs(target);
    const problem =
      ofValues === (target.kind === "class")
        ? `needs ${ofValues ? "real values" : "class labels"} as targets`
        : metric.kind === "topK" && metric.k >= outputs
          ? `counts ${metric.k} of ${outputs} classes: that is all samples`
          : metric.kind === "confusion" && outputs > MOST_CONFUSED
            ? `of ${outputs} classes would have ${outputs ** 2} entries; ${MOST_CONFUSED} classes are the most`
            : undefined;
    if (problem !== undefined)
      throw new LockstepError("CONFIG_INVALID", `metrics: ${metric.kind} ${problem}`, "Leave it out.");
  }
}

/** Why a metric cannot compare the prediction, which under a custom loss may have any shape, with the targets; undefined: it can. */
export function misfitOf(
  metric: MetricSpec,
  prediction: Tensor,
  targets: Tensor,
  target: TargetSpec,
): LockstepError | undefined {
  const wanted = target.kind === "class" ? [...targets.shape, target.classes] : targets.shape;
  if (sameShape(prediction.shape, wanted) && wanted.length === 2) return undefined;
  const classes = target.kind === "class" ? ` of ${target.classes} classes` : "";
  const compares = `compares ${describeShape(prediction.shape)} with targets ${describeShape(targets.shape)}${classes}`;
  const shape = classes === "" ? "the targets' shape" : `shape ${describeShape(wanted)}`;
  const hint = wanted.length === 2 ? `Give the loss a \`predict\` of ${shape}, or metrics: [].` : "Set metrics: [].";
  return new LockstepError("CONFIG_INVALID", `metrics: ${metric.kind} ${compares}`, hint);
}

/** The sums over samples behind a metric: a scalar, or the table. `prediction` is the model's, of the scores. */
export function sumsOf(metric: MetricSpec, scores: Tensor, prediction: Tensor, targets: Tensor): Tensor {
  const [samples, outputs] = scores.shape as [Dim, number];
  const error = (): Tensor => subtract(prediction, targets);
  switch (metric.kind) {
    case "topK": {
      const own = sum(multiply(scores, oneHot(targets, outputs)), [1]);
      const larger = sum(step(subtract(scores, expand(reshape(own, [samples, 1]), scores.shape))), [1]);
      return sumSamples(step(subtract(fill(larger, larger.shape, metric.k), larger)));
    }
    case "confusion":
      return matmul(oneHot(targets, outputs), hardmax(scores), { transposeLeft: true });
    case "perplexity":
      return sumSamples(crossEntropy(scores, targets));
    case "meanAbsoluteError":
      return sum(absolute(error()), [0, 1]);
    case "rootMeanSquaredError":
      return sum(multiply(error(), error()), [0, 1]);
    default:
      return metric satisfies never;
  }
}

/**
 * The figures that finite sums over `samples` samples stand for. One that is not finite is left out: checkpoints, which hold the
 * figures, and JSON have no place for it.
 */
export function figuresOf(
  metrics: readonly MetricSpec[],
  target: TargetSpec,
  sums: Readonly<Record<string, ArrayLike<number>>>,
  samples: number,
): Figures {
  const outputs = numberOfOutputs(target);
  const figureOf = (metric: MetricSpec, values: ArrayLike<number>): Figures[string] => {
    const total = values[0]!;
    switch (metric.kind) {
      case "topK":
        return total / samples;
      case "confusion":
        return Array.from({ length: outputs }, (_, row) =>
          Array.from({ length: outputs }, (_, column) => values[row * outputs + column]!),
        );
      case "perplexity":
        return 1 / exponential(-total / samples);
      case "meanAbsoluteError":
        return total / (samples * outputs);
      case "rootMeanSquaredError":
        return Math.sqrt(total / (samples * outputs));
      default:
        return metric satisfies never;
    }
  };
  return Object.fromEntries(
    metrics
      .map((metric) => [figureName(metric), figureOf(metric, sums[figureName(metric)]!)] as const)
      .filter(([, figure]) => typeof figure !== "number" || Number.isFinite(figure)),
  );
}
