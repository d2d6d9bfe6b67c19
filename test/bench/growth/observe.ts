/** What a step costs the coordinator's process, and what processes hold on to while they train. */
import { usageOf } from "../../swarm/usage.ts";
import type { Usage } from "../../swarm/usage.ts";
import type { TimedProcess } from "../timed-process.ts";

export interface Observed {
  readonly millisecondsAStep: number;
  /** Of the coordinator's process, on all its threads, in milliseconds a step. */
  readonly processor: number;
  readonly coordinator: Usage;
  /** Of the first process with workers. */
  readonly worker: Usage;
}

/** Watches a coordinator from the step `from` to the step `to`, if so many workers take part. */
export async function observe(
  coordinator: TimedProcess,
  workerPid: number,
  { from, to, workers }: { readonly from: number; readonly to: number; readonly workers: number },
): Promise<Observed> {
  const { pid } = coordinator.process;
  const first = await coordinator.next("step", 0, (event) => event.step >= from && event.workers === workers);
  const before = usageOf(pid!);
  const last = await coordinator.next("step", first.index, ({ step }) => step >= to);
  const after = usageOf(pid!);
  const steps = last.event.step - first.event.step;
  return {
    millisecondsAStep: (last.at - first.at) / steps,
    processor: (1000 * (after.processor - before.processor)) / steps,
    coordinator: after,
    worker: usageOf(workerPid),
  };
}

/** The slope of the straight line nearest to points, by least squares. */
export function slopeOf(points: readonly { readonly x: number; readonly y: number }[]): number {
  const mean = (numbers: readonly number[]): number => numbers.reduce((sum, each) => sum + each, 0) / numbers.length;
  const [x, y] = [mean(points.map((point) => point.x)), mean(points.map((point) => point.y))];
  const together = points.reduce((sum, point) => sum + (point.x - x) * (point.y - y), 0);
  return together / points.reduce((sum, point) => sum + (point.x - x) ** 2, 0);
}
