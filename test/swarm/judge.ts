/** Whether a swarm's run was as it must be: what is wrong with it, in sentences; none where nothing is. */
import type { RunResult } from "../../coordinator/events.ts";
import type { Measurement } from "./measurement.ts";
import type { SwarmReport } from "./swarm.ts";

/** What a worker is told that comes when too many do, which comes again by itself, and one that comes too late. */
const HARMLESS = /connections are joining at this moment|^RUN_ENDED|: RUN_ENDED/;

/** What is wrong with a run that went on with at least so many workers, against the same run with one. */
export function problemsOf(
  report: SwarmReport,
  alone: RunResult,
  expected: { readonly workers: number; readonly steps: number },
): string[] {
  const { result, steps, most } = report;
  const problems = report.failures.filter((failure) => !HARMLESS.test(failure));
  const inPlace = steps.findIndex((step, index) => step !== index + 1);
  if (result.outcome !== "completed") problems.push(`the run was ${result.outcome}`);
  if (steps.length !== expected.steps) problems.push(`${steps.length} of ${expected.steps} steps were committed`);
  if (inPlace !== -1) problems.push(`step ${steps[inPlace]} was committed in the place of step ${inPlace + 1}`);
  if (most < expected.workers) problems.push(`at most ${most} workers were there at a time`);
  if (result.parametersSha256 !== alone.parametersSha256)
    problems.push(`the parameters are ${result.parametersSha256}, with one worker ${alone.parametersSha256}`);
  if (result.testLoss !== alone.testLoss)
    problems.push(`the test loss is ${result.testLoss}, with one worker ${alone.testLoss}`);
  return problems;
}

/** Some figure in three parts of a run, as medians: its first, its second and its last quarter. */
export interface Course {
  readonly early: number;
  readonly middle: number;
  readonly late: number;
}

export function courseOf(measurements: readonly Measurement[], figure: (measurement: Measurement) => number): Course {
  const figures = measurements.map(figure);
  const quarter = (index: number): number => {
    const [start, end] = [index, index + 1].map((edge) => Math.round((edge * figures.length) / 4));
    const sorted = figures.slice(start, end).sort((left, right) => left - right);
    return sorted[Math.floor(sorted.length / 2)]!;
  };
  return { early: quarter(0), middle: quarter(1), late: quarter(3) };
}

/**
 * What a run holds on to more and more: from its second quarter to its last, both with the same number of workers, nothing
 * may grow. The first is left to warm up. Memory in use once all garbage is collected may be 2 % and 1 MB more: up to 1.5 %
 * were seen, of code that V8 still compiles; 100 bytes kept of every message make 10 MB in a minute. Resident memory may be
 * more by the 200 MB of garbage that V8 is allowed between two collections (shared/v8.ts), whose pages it keeps;
 * of the workers' processes, each with an allowance of its own, it is not judged. As many sockets may be open more as there
 * are workers that have just come or gone.
 */
export function growthOf(measurements: readonly Measurement[]): string[] {
  const grown = (what: string, share: number, more: number, figure: (measurement: Measurement) => number): string[] => {
    const { middle, late } = courseOf(measurements, figure);
    return late <= (1 + share) * middle + more ? [] : [`${what} grew from ${middle} to ${late}`];
  };
  const megabyte = 2 ** 20;
  return [
    ...grown("the coordinator's memory in use", 0.02, megabyte, ({ coordinator }) => coordinator.inUse),
    ...grown("the coordinator's resident memory", 0, 200 * megabyte, ({ coordinator }) => coordinator.resident),
    ...grown("the coordinator's open files", 0, 16, ({ coordinator }) => coordinator.descriptors),
    ...grown("the workers' memory in use", 0.02, megabyte, ({ fleet }) => fleet.inUse),
    ...grown("the workers' open files", 0, 16, ({ fleet }) => fleet.descriptors),
  ];
}
