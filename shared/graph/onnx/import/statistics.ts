/**
 * What the tensors that a file stores are used as, and under which names. Exporters store equal tensors once, so that one can be a
 * variance here and a scale there: what is anything besides a statistic trains, and each statistic is told apart from it. Scales
 * that were equal are told apart where the file has kept their names.
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
  /** Names that stand for a tensor which is used under others too, and not only as a statistic. */
  readonly aliases: ReadonlyMap<string, string>;
}

/** Looks through nodes in the order in which they run. */
export function statisticsIn(nodes: readonly OnnxNode[]): Statistics {
  const sources = new Map<string, string>();
  const sourceOf = (name: string): string => sources.get(name) ?? name;
  const statistics = new Set<string>();
  /** What is used otherwise, each with the names it has there. */
  const others = new Map<string, Set<string>>();
  const use = (name: string): void => {
    const source = sourceOf(name);
    others.set(source, (others.get(source) ?? new Set()).add(name));
  };
  for (const { type, inputs, outputs } of nodes) {
    if (type === "Identity") sources.set(outputs[0]!, sourceOf(inputs[0]!));
    else inputs.forEach((input, place) => (isStatistic(type, place) ? statistics.add(sourceOf(input)) : use(input)));
  }
  const shared = [...others].filter(([, names]) => names.size > 1);
  const aliases = shared.flatMap(([source, names]) =>
    [...names].flatMap((name) => (name === source ? [] : [[name, source] as const])),
  );
  return {
    sourceOf,
    isPure: (source) => statistics.has(source) && !others.has(source),
    aliases: new Map(aliases),
  };
}
