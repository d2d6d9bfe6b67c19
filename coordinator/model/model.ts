/** The model that a config describes for the data it is given: where the two don't fit, the message names both. */
import { imageOf } from "../../shared/data/augment.ts";
import type { Dataset } from "../../shared/data/dataset.ts";
import { targetWidth } from "../../shared/data/target.ts";
import { LockstepError } from "../../shared/errors.ts";
import { figureName, usualMetrics, type MetricSpec } from "../../shared/nn/metrics.ts";
import { compileModel } from "../../shared/nn/model.ts";
import type { CompiledModel } from "../../shared/nn/model.ts";
import type { LossSpec } from "../../shared/nn/spec.ts";
import { needsGraphs, restoreModel, storeModel } from "../../shared/nn/stored.ts";
import { isFrozenBy } from "../../shared/optim/segments.ts";
import { product } from "../../shared/shape.ts";
import type { RunConfig } from "../config/config.ts";
import { usualLayers } from "../config/schema.ts";
import { onnxFilesOf } from "./initial-weights.ts";

/** Compiles the config's model. Throws SHAPE_MISMATCH or CONFIG_INVALID, or MODEL_INVALID for a file that is part of it. */
export async function modelFor(config: RunConfig, data: Dataset): Promise<CompiledModel> {
  const { layers, loss, inputWidth, graphs } = config.model;
  if (graphs !== undefined) return restoreModel(graphs);
  const width = product(data.sampleShape);
  if (inputWidth !== undefined && inputWidth !== width) {
    throw new LockstepError(
      "SHAPE_MISMATCH",
      `the config expects ${inputWidth} values a sample, the data has ${width} (shape [${data.sampleShape.join(", ")}])`,
      `start --layers with ${width}, or train on other data`,
    );
  }
  // A worker would find it out too, but only in its threads.
  if (config.augment.length > 0) imageOf(data.sampleShape);
  const spec = {
    inputShape: data.sampleShape,
    target: data.target,
    layers,
    loss: withClassWeights(loss, data),
    metrics: metricsFor(config, data),
    metricsAreUsual: config.metrics === undefined,
    files: await onnxFilesOf(config),
  };
  return compileModel(spec, isFrozenBy(config.groups));
}

/** The config with the usual layers where it has none, as the data's targets are known by now. */
export function withLayers(config: RunConfig, { target }: Dataset): RunConfig {
  const { model } = config;
  if (model.layers.length > 0) return config;
  const layers = usualLayers(target.kind === "class" ? target.classes : target.width);
  return { ...config, model: { ...model, layers } };
}

/** The config as a run keeps it: with the graphs where the model has functions, which JSON leaves out, or parts in other files. */
export function withGraphs(config: RunConfig, model: CompiledModel): RunConfig {
  const { layers, loss } = config.model;
  return needsGraphs(layers, loss) ? { ...config, model: { ...config.model, graphs: storeModel(model) } } : config;
}

/** What the run's evaluations measure besides the loss and the accuracy. */
export const measuredBy = ({ evaluated }: CompiledModel, config: RunConfig, data: Dataset): readonly MetricSpec[] =>
  metricsFor(config, data).filter((metric) => evaluated.some(({ name }) => name === figureName(metric)));

const metricsFor = ({ metrics }: RunConfig, { target }: Dataset): readonly MetricSpec[] =>
  metrics ?? usualMetrics(target);

/** Balanced class weights as numbers: labels / (classes × occurrences of the label), 0 for one that does not occur. */
function withClassWeights(loss: LossSpec, data: Dataset): LossSpec {
  const { target } = data;
  if (loss.kind !== "crossEntropy" || loss.classWeights !== "balanced" || target.kind !== "class") return loss;
  const counts = Array<number>(target.classes).fill(0);
  const positions = targetWidth(target);
  // The arrays may hold more samples than the dataset consists of: those that are held out.
  const { targets, order } = data.transfer();
  for (let sample = 0; sample < data.length; sample++) {
    const start = (order?.[sample] ?? sample) * positions;
    for (let place = start; place < start + positions; place++) counts[targets[place]!]! += 1;
  }
  const labels = data.length * positions;
  return {
    ...loss,
    classWeights: counts.map((count) => (count === 0 ? 0 : labels / (target.classes * count))),
  };
}
