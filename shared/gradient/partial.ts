/**
 * What one partial holds: the sums over a subtree's samples, gradients in the layout of the trained parameters and the metrics
 * behind them, so that one addition combines both along the same tree. An evaluation's partial holds the metrics alone.
 */
import { layoutOf } from "../memory/layout.ts";
import type { Laid, Layout } from "../memory/layout.ts";
import type { WorkKind } from "../protocol/messages.ts";

export interface PartialLayouts {
  readonly parameters: Layout;
  readonly partial: Readonly<Record<WorkKind, Layout>>;
}

/** The slot of a metric in a partial. A parameter can't have this name: the model compiler numbers its layers. */
export const metricSlot = (metric: string): string => `metric:${metric}`;

export function partialLayouts(
  parameters: readonly Laid[],
  metrics: readonly string[],
  evaluated: readonly { readonly name: string; readonly shape: readonly number[] }[] = [],
): PartialLayouts {
  const sums = metrics.map((metric) => ({ name: metricSlot(metric), shape: [] }));
  const more = evaluated.map(({ name, shape }) => ({ name: metricSlot(name), shape }));
  return {
    parameters: layoutOf(parameters),
    partial: {
      train: layoutOf([...parameters.filter(({ frozen }) => frozen !== true), ...sums]),
      evaluate: layoutOf([...sums, ...more]),
    },
  };
}

/** Bytes of a vector of that layout. */
export const vectorBytes = (layout: Layout): number => 4 * layout.size;
