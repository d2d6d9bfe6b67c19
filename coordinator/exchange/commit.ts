/** Finishes the open work: its sums and, if it is a training step, the next parameters; or says that it is spoiled. */
import { metricSlot } from "../../shared/gradient/partial.ts";
import type { PartialLayouts } from "../../shared/gradient/partial.ts";
import type { Kernels } from "../../shared/kernels/index.ts";
import type { Arena } from "../../shared/memory/arena.ts";
import { slotView } from "../../shared/memory/layout.ts";
import type { RunPlan } from "../../shared/protocol/messages.ts";
import type { CoordinatorEvent } from "../core/events.ts";
import type { CoordinatorState, Sums, Work } from "../core/state.ts";
import type { Reduction, Total } from "../reduction/reduction.ts";
import type { ParameterStore } from "./parameters.ts";

export interface CommitParts {
  readonly plan: RunPlan;
  readonly state: CoordinatorState;
  readonly layouts: PartialLayouts;
  readonly arena: Arena;
  readonly kernels: Kernels;
  readonly reduction: Reduction;
  readonly store: ParameterStore;
}

/** After a training step whose numbers are all finite the next parameters are in place, and workers that share memory know. */
export function commit(parts: CommitParts, work: Work): Extract<CoordinatorEvent, { type: "committed" | "spoiled" }> {
  const { arena, kernels, layouts, reduction, store, state } = parts;
  const { kind } = work.name;
  const layout = layouts.partial[kind];
  // The metrics lie behind the gradient.
  const metricsAt = kind === "train" ? layouts.parameters.trained : 0;
  const total = reduction.totalFrom(store.takesParts ? metricsAt : 0);
  const vector = arena.floats(total.root, layout.size);
  const sumOf = (metric: string): number => slotView(layout, metricSlot(metric), vector)[0]!;
  const correct = state.settings.countsCorrect ? sumOf("correct") : 0;
  const evaluated = kind === "evaluate" ? evaluatedIn(parts, vector) : {};
  const sums: Sums = { loss: sumOf("loss"), correct, samples: work.samples, ...evaluated };
  const areFinite = kernels.allFinite(total.root + 4 * metricsAt, layout.size - metricsAt);
  const finite = areFinite && (kind === "evaluate" || takeStep(parts, work, total));
  const { culprits } = reduction;
  if (work.trusting && (!finite || culprits.length > 0)) return { type: "spoiled", by: culprits };
  return { type: "committed", sums, finite, isAsAdvanced: total.usedFrom !== undefined };
}

/** Takes the step unless something is damaged (`culprits`) or not finite. False if not finite, or damage was known before. */
function takeStep({ reduction, store }: CommitParts, { name: { step }, samples }: Work, total: Total): boolean {
  if (reduction.culprits.length > 0) return false;
  const { isFinite, damaged } = store.update(total, samples, step);
  if (total.checks !== undefined) reduction.settle(total.checks, damaged);
  return isFinite;
}

/** The sums behind an evaluation's other metrics; the vector is used again. */
function evaluatedIn({ layouts, plan }: CommitParts, vector: Float32Array): Pick<Sums, "evaluated"> {
  const sumsOf = (name: string): number[] => [...slotView(layouts.partial.evaluate, metricSlot(name), vector)];
  return { evaluated: Object.fromEntries(plan.evaluated.map(({ name }) => [name, sumsOf(name)])) };
}
