/**
 * A model's description compiled to three graphs: `train` (gradients and metrics), `evaluate` (metrics) and `predict`.
 * Gradients and metrics are sums over the samples.
 */
import { LockstepError } from "../errors.ts";
import { gradientsOf } from "../graph/autodiff.ts";
import { type Graph, GraphBuilder } from "../graph/graph.ts";
import type { Tensor } from "../graph/operation.ts";
import { flatten, sumSamples } from "../graph/operations/broadcast.ts";
import { describeShape, sameShape, type Shape } from "../graph/values.ts";
import type { Layout } from "../memory/layout.ts";
import { randomStream } from "../random.ts";
import { initialisers } from "./initialisers.ts";
import { type LayerContext, layers, layersCounted, type Parameter } from "./layers.ts";
import { correctOf, lossOf } from "./losses.ts";
import { figureName, sumsOf } from "./metrics.ts";
import { checkModelSpec, layerName, type LayerSpec, type ModelSpec } from "./spec.ts";

export interface CompiledModel {
  readonly parameters: readonly Parameter[];
  /** Outputs "gradient:<parameter>" and "metric:<name>". */
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

const rows: Shape[number] = { rows: 1 };

/** The layers as one function of "features", in a graph of its own. */
class Network {
  readonly builder = new GraphBuilder();
  readonly parameters: { readonly parameter: Parameter; readonly tensor: Tensor }[] = [];
  readonly scores: Tensor;
  readonly #target: ModelSpec["target"];
  #targets: Tensor | undefined;

  constructor(spec: ModelSpec, training: boolean) {
    this.#target = spec.target;
    let number = 0;
    let x = this.builder.input("features", { kind: "features" }, [rows, ...spec.inputShape]);
    spec.layers.forEach((layer, place) => {
      const before = spec.layers[place - 1];
      const source = before === undefined ? "the data" : layerName(place - 1, before);
      x = this.#apply(
        layer,
        x,
        this.#context(number, training),
        `${layerName(place, layer)}, given ${describeShape(x.shape)} by ${source}`,
      );
      number += layersCounted(layer);
    });
    this.scores = x.shape.length === 2 ? x : flatten(x);
    const width = spec.target.kind === "class" ? spec.target.classes : spec.target.width;
    const wanted = [rows, width];
    if (!sameShape(this.scores.shape, wanted)) {
      const last = spec.layers.length - 1;
      throw new LockstepError(
        "SHAPE_MISMATCH",
        `${layerName(last, spec.layers[last] as LayerSpec)} gives ${describeShape(this.scores.shape)}, the targets want ${describeShape(wanted)}`,
        `Let the last dense layer have ${width} units.`,
      );
    }
  }

  /** What the scores are compared with. Unless something is, the graph has no such input. */
  get targets(): Tensor {
    this.#targets ??=
      this.#target.kind === "class"
        ? this.builder.input("targets", { kind: "targets" }, [rows], "int32")
        : this.builder.input("targets", { kind: "targets" }, [rows, this.#target.width]);
    return this.#targets;
  }

  #apply(layer: LayerSpec, x: Tensor, context: LayerContext, where: string): Tensor {
    try {
      return (layers[layer.kind] as (x: Tensor, layer: LayerSpec, context: LayerContext) => Tensor)(x, layer, context);
    } catch (error) {
      if (!(error instanceof LockstepError)) throw error;
      throw new LockstepError(error.code, `${where}: ${error.message}`, error.hint, {
        cause: error,
      });
    }
  }

  #context(number: number, training: boolean): LayerContext {
    return {
      training,
      parameter: (parameter) => {
        const name = `${number}.${parameter.name}`;
        const tensor = this.builder.input(`parameter:${name}`, { kind: "parameter", parameter: name }, parameter.shape);
        this.parameters.push({ parameter: { ...parameter, name }, tensor });
        return tensor;
      },
      mask: (rate, shape) => this.builder.input(`mask:${number}`, { kind: "mask", rate, layer: number }, shape),
    };
  }
}

/** The sums a step reports, and the scalar that is differentiated: the first of them. */
function metricsOf(network: Network, spec: ModelSpec): Record<"loss", Tensor> & Record<string, Tensor> {
  const { targets } = network;
  const loss = sumSamples(lossOf(spec.loss).perSample(network.scores, targets, spec.loss));
  return spec.target.kind === "class" ? { loss, correct: correctOf(network.scores, targets) } : { loss };
}

/** The sums behind the spec's metrics. */
const evaluatedOf = (network: Network, spec: ModelSpec): Record<string, Tensor> => {
  const prediction = lossOf(spec.loss).prediction.of(network.scores);
  return Object.fromEntries(
    (spec.metrics ?? []).map((metric) => [
      figureName(metric),
      sumsOf(metric, network.scores, prediction, network.targets),
    ]),
  );
};

const prefixed = (prefix: string, tensors: Record<string, Tensor>): Record<string, Tensor> =>
  Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [`${prefix}:${name}`, tensor]));

/**
 * Compiles a model.
 * @throws LockstepError CONFIG_INVALID for a wrong option, SHAPE_MISMATCH where shapes don't meet
 */
export function compileModel(spec: ModelSpec): CompiledModel {
  checkModelSpec(spec);
  const training = new Network(spec, true);
  const metrics = metricsOf(training, spec);
  const gradients = gradientsOf(
    training.builder,
    metrics.loss,
    training.parameters.map(({ tensor }) => tensor),
  );
  const named = training.parameters.map(({ parameter }, place) => [parameter.name, gradients[place] as Tensor]);

  const evaluation = new Network(spec, false);
  const evaluated = evaluatedOf(evaluation, spec);
  const predicting = new Network(spec, false);
  const { prediction } = lossOf(spec.loss);
  return {
    parameters: training.parameters.map(({ parameter }) => parameter),
    train: training.builder.build({
      ...prefixed("gradient", Object.fromEntries(named)),
      ...prefixed("metric", metrics),
    }),
    evaluate: evaluation.builder.build(prefixed("metric", { ...metricsOf(evaluation, spec), ...evaluated })),
    predict: predicting.builder.build({ [prediction.name]: prediction.of(predicting.scores) }),
    metrics: Object.keys(metrics),
    evaluated: Object.entries(evaluated).map(([name, { shape }]) => ({ name, shape: shape as number[] })),
  };
}

/** Writes the starting values of every parameter to its place in the flat vector; padding stays as it is. */
export function initialParameters(model: CompiledModel, layout: Layout, seed: number, into: Float32Array): void {
  model.parameters.forEach((parameter, number) => {
    const slot = layout.slots.find(({ name }) => name === parameter.name);
    if (slot === undefined) throw new LockstepError("LAYOUT_MISMATCH", `the layout has no parameter ${parameter.name}`);
    const valueAt = initialisers[parameter.initialiser](randomStream(seed, "initialise", number), parameter);
    for (let index = 0; index < slot.length; index++) into[slot.offset + index] = valueAt(index);
  });
}
