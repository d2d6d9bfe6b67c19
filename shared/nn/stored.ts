/**
 * A compiled model as JSON: what a run keeps of a model that was written in TypeScript, so that it can be resumed, evaluated
 * and used where the functions are not at hand. Graphs are checked as if they came from a peer.
 */
import { LockstepError } from "../errors.ts";
import { decodeGraph, encodeGraph, type GraphJson } from "../graph/serialise.ts";
import { initialisers } from "./initialisers.ts";
import type { CompiledModel } from "./model.ts";
import type { LayerSpec, LossSpec } from "./spec.ts";

export interface StoredModel extends Omit<CompiledModel, "train" | "evaluate" | "predict"> {
  readonly train: GraphJson;
  readonly evaluate: GraphJson;
  readonly predict: GraphJson;
}

/** Whether a model has parts that its config doesn't hold: functions, or a network in another file. */
export const needsGraphs = (layers: readonly LayerSpec[], loss: LossSpec): boolean =>
  loss.kind === "custom" ||
  layers.some(
    (layer) =>
      layer.kind === "custom" ||
      layer.kind === "onnx" ||
      (layer.kind === "residual" && needsGraphs(layer.layers, loss)),
  );

export const storeModel = (model: CompiledModel): StoredModel => ({
  ...model,
  train: encodeGraph(model.train),
  evaluate: encodeGraph(model.evaluate),
  predict: encodeGraph(model.predict),
});

/** The model that was stored. Throws CONFIG_INVALID or GRAPH_INVALID where it was changed since. */
export function restoreModel(stored: StoredModel): CompiledModel {
  const { parameters, metrics, evaluated } = stored;
  const isList = (value: unknown): boolean => Array.isArray(value);
  const known = isList(parameters) && parameters.every(({ initialiser }) => Object.hasOwn(initialisers, initialiser));
  if (!known || !isList(metrics) || !isList(evaluated)) {
    throw new LockstepError(
      "CONFIG_INVALID",
      "model.graphs is not as it was written",
      "Put the run's own config back.",
    );
  }
  const [train, evaluate, predict] = [stored.train, stored.evaluate, stored.predict].map(decodeGraph) as [
    CompiledModel["train"],
    CompiledModel["evaluate"],
    CompiledModel["predict"],
  ];
  return { parameters, metrics, evaluated, train, evaluate, predict };
}
