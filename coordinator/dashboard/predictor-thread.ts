/** The thread that predicts for the dashboard: piscina loads this file and calls what it exports. */
import type { TargetSpec } from "../../shared/data/target.ts";
import { decodeGraph } from "../../shared/graph/serialise.ts";
import type { GraphJson } from "../../shared/graph/serialise.ts";
import { layoutOf } from "../../shared/memory/layout.ts";
import { answerOf } from "../trained/evaluate.ts";

export interface PredictTask {
  readonly graph: GraphJson;
  readonly slots: readonly { readonly name: string; readonly shape: readonly number[] }[];
  readonly target: TargetSpec;
  /** In layout order, with padding. */
  readonly parameters: Float32Array;
  readonly sample: Float32Array;
}

export default async function predict(task: PredictTask): Promise<number[]> {
  const { graph, slots, target, parameters, sample } = task;
  const parametrised = { layout: layoutOf(slots), parameters, data: { train: { target } } };
  return [...(await answerOf(decodeGraph(graph), parametrised, sample)).values];
}
