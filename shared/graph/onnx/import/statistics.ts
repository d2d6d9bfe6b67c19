/**
 * What a batch norm has seen, among the tensors that a file stores. Exporters store equal tensors once, so that one can be a
 * variance here and a scale there: what is anything besides a statistic trains, and each statistic is told apart from it.
 */
import type { OnnxNode } from "../file.ts";

/** The places of a batch norm's mean and variance. */
const isStatistic = (type: string, place: number): boolean =>
  type === "BatchNormalization" && (place === 3 || place === 4);

export interface Statistics {
  /** The name that another one stands for, by way of Identity. */
  readonly sourceOf: (name: string) => string;
  /** Whether a tensor is a statistic and nothing else. */
  readonly isPure: (source: string) => boolean;
}

/** Looks through nodes in the order in which they run. */
export function statisticsIn(nodes: readonly OnnxNode[]): Statistics {
  const sources = new Map<string, string>();
  const sourceOf = (name: string): string => sources.get(name) ?? name;
  const [statistics, others] = [new Set<string>(), new Set<string>()];
  for (const { type, inputs, outputs } of nodes) {
    if (type === "Identity") sources.set(outputs[0]!, sourceOf(inputs[0]!));
    else inputs.forEach((input, place) => (isStatistic(type, place) ? statistics : others).add(sourceOf(input)));
  }
  return { sourceOf, isPure: (source) => statistics.has(source) && !others.has(source) };
}
