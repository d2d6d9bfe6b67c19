/**
 * Whether the parts of a plan belong together: what its graphs read and give must be its parameters and metrics. Each part
 * is well-formed by now, but an engine that is given the wrong arrays fails in the middle of a step.
 */
import { LockstepError } from "../errors.ts";
import { metricSlot } from "../gradient/partial.ts";
import type { PartialLayouts } from "../gradient/partial.ts";
import type { Graph } from "../graph/graph.ts";
import { decodeGraph } from "../graph/serialise.ts";
import type { RunPlan } from "../protocol/messages.ts";

/** Throws GRAPH_INVALID, or what decoding the graphs throws. */
export function checkPlan(plan: RunPlan, { parameters, partial }: PartialLayouts): void {
  const given = new Map(parameters.slots.map(({ name, shape }) => [name, JSON.stringify(shape)]));
  const shapes = new Map(partial.train.slots.map(({ name, shape }) => [name, JSON.stringify(shape)]));
  const metrics = plan.metrics.map((metric) => [`metric:${metric}`, shapes.get(metricSlot(metric))] as const);
  const trained = plan.parameters.filter(({ frozen }) => !frozen);
  const gradients = trained.map(({ name }) => [`gradient:${name}`, shapes.get(name)] as const);
  const evaluated = new Map(partial.evaluate.slots.map(({ name, shape }) => [name, JSON.stringify(shape)]));
  const more = plan.evaluated.map(({ name }) => [`metric:${name}`, evaluated.get(metricSlot(name))] as const);
  checkGraph("train", decodeGraph(plan.train), given, new Map([...gradients, ...metrics]));
  checkGraph("evaluate", decodeGraph(plan.evaluate), given, new Map([...metrics, ...more]));
}

function checkGraph(
  kind: string,
  graph: Graph,
  parameters: ReadonlyMap<string, string>,
  expected: ReadonlyMap<string, string | undefined>,
): void {
  const shapeOf = (value: number): string => JSON.stringify(graph.values[value]!.shape);
  const isGiven = graph.inputs.every(
    (input) => input.kind !== "parameter" || parameters.get(input.parameter) === shapeOf(input.value),
  );
  const isWanted =
    graph.outputs.length === expected.size &&
    graph.outputs.every(({ name, value }) => expected.get(name) === shapeOf(value));
  const hasData = graph.inputs.some((input) => input.kind === "features");
  if (isGiven && isWanted && hasData) return;
  const sentence = `the plan's ${kind} graph is not one of its ${parameters.size} parameters and metrics`;
  throw new LockstepError("GRAPH_INVALID", sentence, "coordinator and worker must run the same Lockstep");
}
