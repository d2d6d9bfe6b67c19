/**
 * A model's description compiled to three graphs: `train` (gradients and metrics), `evaluate` (metrics) and `predict`.
 * Gradients and metrics are sums over the samples.
 */
import { LockstepError } from "../errors.ts";
import { gradientsOf } from "../graph/autodiff.ts";
import type { Graph } from "../graph/graph.ts";
import type { Tensor } from "../graph/operation.ts";
import { scale } from "../graph/operations/arithmetic.ts";
import { reshape, sumSamples } from "../graph/operations/broadcast.ts";
import { sameShape } from "../graph/values.ts";
import type { Layout } from "../memory/layout.ts";
import { randomStream } from "../random.ts";
import { checkModelSpec } from "./check-spec.ts";
import { initialisers } from "./initialisers.ts";
import { correctOf, lossOf } from "./losses.ts";
import { figureName, misfitOf, sumsOf } from "./metrics.ts";
import { type IsFrozen, Network, type Parameter } from "./network.ts";
import type { ModelSpec } from "./spec.ts";

export interface CompiledModel {
  /** Those that are trained come first. */
  readonly parameters: readonly Parameter[];
  /** Outputs "gradient:<parameter>", for those that are trained, and "metric:<name>". */
  readonly train: Graph;
  /** Outputs "metric:<name>". */
  readonly evaluate: Graph;
  /** Output "probabilities" or "output", a row for every sample. */
  readonly predict: Graph;
  /** The sums of a training step, and the first of an evaluation. */
  readonly metrics: readonly string[];
  /** The sums that evaluations have behind those. */
  readonly evaluated: readonly MetricSums[];
}

interface MetricSums {
  readonly name: string;
  readonly shape: readonly number[];
}

/** The sums a step reports, and the scalar that is differentiated: the first of them. */
function metricsOf(network: Network, spec: ModelSpec): Record<"loss", Tensor> & Record<string, Tensor> {
  const { targets, scores, positions } = network;
  const perPosition = lossOf(spec.loss).perSample(scores, targets, spec.loss);
  const loss = scale(sumSamples(perPosition), 1 / positions);
  const { target } = spec;
  const answers = answersOf(network, spec);
  const isScored = target.kind === "class" && sameShape(answers.shape, [{ rows: positions }, target.classes]);
  return isScored && (target.positions ?? 1) === positions
    ? { loss, correct: scale(correctOf(answers, targets), 1 / positions) }
    : { loss };
}

const predictionOf = ({ scores }: Network, { loss }: ModelSpec): Tensor => lossOf(loss).prediction.of(scores, loss);

/** What labels are compared with: the scores, which under a loss of one's own may be anything, so that there it is the prediction. */
const answersOf = (network: Network, spec: ModelSpec): Tensor =>
  spec.loss.kind === "custom" ? predictionOf(network, spec) : network.scores;

/** The sums behind the spec's metrics: for each sample, the mean over its positions; a table counts each of these. */
function evaluatedOf(network: Network, spec: ModelSpec): Record<string, Tensor> {
  const prediction = predictionOf(network, spec);
  const { targets, positions } = network;
  const scores = answersOf(network, spec);
  const sums = (spec.metrics ?? []).flatMap((metric) => {
    const misfit = misfitOf(metric, scores, targets, spec.target);
    if (misfit !== undefined && spec.metricsAreUsual === true) return [];
    if (misfit !== undefined) throw misfit;
    const total = sumsOf(metric, scores, prediction, targets);
    return [[figureName(metric), metric.kind === "confusion" ? total : scale(total, 1 / positions)] as const];
  });
  return Object.fromEntries(sums);
}

/** A row for each sample, whatever there was for each position. */
function bySample(prediction: Tensor, positions: number): Tensor {
  return positions === 1 ? prediction : reshape(prediction, [{ rows: 1 }, positions, ...prediction.shape.slice(1)]);
}

const prefixed = (prefix: string, tensors: Record<string, Tensor>): Record<string, Tensor> =>
  Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [`${prefix}:${name}`, tensor]));

/**
 * Compiles a model. Parameters that are frozen have no gradient: nothing is computed or sent for them.
 * @throws LockstepError CONFIG_INVALID for a wrong option, SHAPE_MISMATCH where shapes don't meet
 */
export function compileModel(spec: ModelSpec, isFrozen: IsFrozen = () => false): CompiledModel {
  checkModelSpec(spec);
  const training = new Network(spec, true, isFrozen);
  const metrics = metricsOf(training, spec);
  const trained = training.parameters.filter(({ parameter }) => !parameter.frozen);
  const gradients = gradientsOf(
    training.builder,
    metrics.loss,
    trained.map(({ tensor }) => tensor),
  );
  const named = trained.map(({ parameter }, place) => [parameter.name, gradients[place] as Tensor]);
  const frozen = training.parameters.filter(({ parameter }) => parameter.frozen);

  const evaluation = new Network(spec, false, isFrozen);
  const evaluated = evaluatedOf(evaluation, spec);
  const predicting = new Network(spec, false, isFrozen);
  const { prediction } = lossOf(spec.loss);
  return {
    parameters: [...trained, ...frozen].map(({ parameter }) => parameter),
    train: training.builder.build({
      ...prefixed("gradient", Object.fromEntries(named)),
      ...prefixed("metric", metrics),
    }),
    evaluate: evaluation.builder.build(prefixed("metric", { ...metricsOf(evaluation, spec), ...evaluated })),
    predict: predicting.builder.build({
      [prediction.name]: bySample(predictionOf(predicting, spec), predicting.positions),
    }),
    metrics: Object.keys(metrics),
    evaluated: Object.entries(evaluated).map(([name, { shape }]) => ({ name, shape: shape as number[] })),
  };
}

/**
 * Writes the starting values of every parameter to its place in the flat vector; padding stays as it is.
 * @param given values from files; the others come from the seed
 */
export function initialParameters(
  model: CompiledModel,
  layout: Layout,
  seed: number,
  into: Float32Array,
  given: ReadonlyMap<string, Float32Array> = new Map(),
): void {
  for (const parameter of model.parameters) {
    const slot = layout.slots.find(({ name }) => name === parameter.name);
    if (slot === undefined) throw new LockstepError("LAYOUT_MISMATCH", `the layout has no parameter ${parameter.name}`);
    const values = given.get(parameter.name);
    if (values === undefined && parameter.stored) throw new Error(`${parameter.name} has no values from its file`);
    if (values !== undefined) {
      into.set(values, slot.offset);
      continue;
    }
    const valueAt = initialisers[parameter.initialiser](randomStream(seed, "initialise", parameter.number), parameter);
    for (let index = 0; index < slot.length; index++) into[slot.offset + index] = valueAt(index);
  }
}
