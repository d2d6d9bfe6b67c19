/**
 * A simple model of what a step costs, in the manner of Hockney's latency and bandwidth: each part of a step that the
 * coordinator can time is a constant and a rate, fitted by least squares with neither below zero. It says how the same job
 * would do with other numbers of workers, and is no better than that: how far it is off is shown beside it.
 */
import { maximalSubtrees } from "../../shared/gradient/tree.ts";
import { cutIntoShards, planRanges } from "../../shared/gradient/plan.ts";
import type { ShardRange } from "../../shared/gradient/plan.ts";
import type { Point } from "./experiment.ts";
import type { StepParts } from "./measure.ts";

/** Milliseconds, samples and bytes. A rate is what one more costs. */
export interface CostModel {
  /** The engine's call, and each sample of the busiest thread. */
  readonly compute: Fit;
  /** The update of the parameters, and each byte of the partials that are added up. */
  readonly reduce: Fit;
  /** The coordinator's work on messages, and each byte that it sends or receives. */
  readonly wire: Fit;
  /** What nobody works on: round trips, and waiting for a core where more threads want one than there are. */
  readonly wait: Fit;
  readonly parameterBytes: number;
}

export interface Fit {
  readonly constant: number;
  readonly rate: number;
}

interface Observation {
  readonly point: Point;
  readonly parts: StepParts;
}

/** What a step at a point amounts to. */
interface Load {
  /** Samples that the busiest thread computes. */
  readonly samples: number;
  /** Bytes of partials that reach the coordinator. */
  readonly partialBytes: number;
  /** Those, and the parameters to every worker that computes. */
  readonly wireBytes: number;
  /** How many threads want each core: what they compute at the same time takes as many times as long. */
  readonly contention: number;
  /** How many of them and the coordinator's own, for each core, find it taken. */
  readonly queue: number;
}

/** How a point's shards are shared out. */
interface Sharing {
  readonly shards: number;
  /** Workers that have some. */
  readonly computing: number;
  readonly ranges: readonly ShardRange[];
  /** Shards of the worker that has the most. */
  readonly widest: number;
  /** Threads that compute at the same time. */
  readonly busy: number;
}

export function workersAt({ workers, threads, shards: asked, batch }: Point): Sharing {
  const shards = cutIntoShards(batch, asked).sizes.length;
  const computing = Math.min(workers, shards);
  const ranges = planRanges(
    shards,
    Array.from({ length: computing }, () => 1),
  );
  const widest = Math.max(...ranges.map(({ start, end }) => end - start));
  return { shards, computing, ranges, widest, busy: computing * Math.min(threads, widest) };
}

/** @param cores that all workers share; Infinity where each has its own machine */
function loadOf(point: Point, parameterBytes: number, cores: number): Load {
  const { shards, computing, ranges, widest, busy } = workersAt(point);
  const partials = ranges.reduce((sum, { start, end }) => sum + maximalSubtrees(shards, start, end).length, 0);
  // A thread computes whole shards.
  const samples = Math.ceil(widest / point.threads) * cutIntoShards(point.batch, shards).sizes[0]!;
  const partialBytes = partials * parameterBytes;
  return {
    samples,
    partialBytes,
    wireBytes: partialBytes + computing * parameterBytes,
    contention: Math.max(1, busy / cores),
    queue: Math.max(0, (busy + 1) / cores - 1),
  };
}

/** @param observations medians of measured points of one job on this machine, whose workers share `cores` */
export function fitCosts(observations: readonly Observation[], parameterBytes: number, cores: number): CostModel {
  const loads = observations.map(({ point }) => loadOf(point, parameterBytes, cores));
  const fitted = (part: keyof StepParts, amount: (load: Load) => number): Fit =>
    nonNegativeFit(
      loads.map(amount),
      observations.map(({ parts }) => parts[part]),
    );
  return {
    compute: fitted("compute", ({ samples, contention }) => samples * contention),
    reduce: fitted("reduce", ({ partialBytes }) => partialBytes),
    wire: fitted("wire", ({ wireBytes }) => wireBytes),
    wait: fitted("wait", ({ queue }) => queue),
    parameterBytes,
  };
}

/** Milliseconds of each part of a step. */
export function predictedParts(model: CostModel, point: Point, cores: number): StepParts {
  const { samples, contention, queue, partialBytes, wireBytes } = loadOf(point, model.parameterBytes, cores);
  const of = ({ constant, rate }: Fit, amount: number): number => constant + rate * amount;
  return {
    compute: of(model.compute, samples * contention),
    reduce: of(model.reduce, partialBytes),
    wire: of(model.wire, wireBytes),
    wait: of(model.wait, queue),
  };
}

export const totalOf = ({ compute, reduce, wire, wait }: StepParts): number => compute + reduce + wire + wait;

/**
 * The job with so many workers, each on a machine of its own, otherwise as at `point`: cut into as many shards as that takes,
 * which costs the same as shards that were there from the start.
 */
export function withWorkers(point: Point, workers: number): Point {
  return { ...point, workers, shards: Math.max(point.shards, workers) };
}

/** From here on the coordinator's own work on a step takes longer than all else; undefined if not up to `most` workers. */
export function saturation(model: CostModel, point: Point, most: number): number | undefined {
  for (let workers = 1; workers <= most; workers++) {
    const { compute, reduce, wire, wait } = predictedParts(model, withWorkers(point, workers), Infinity);
    if (reduce + wire > compute + wait) return workers;
  }
  return undefined;
}

/** y ≈ constant + rate · x with the least squares, both at least 0; the mean where all x are the same. */
export function nonNegativeFit(x: readonly number[], y: readonly number[]): Fit {
  const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [meanX, meanY] = [mean(x), mean(y)];
  const spread = mean(x.map((value) => (value - meanX) ** 2));
  const together = mean(x.map((value, index) => (value - meanX) * (y[index]! - meanY)));
  // One amount says nothing of what is constant in it: it is all taken for a rate.
  if (spread === 0) return meanX === 0 ? { constant: meanY, rate: 0 } : { constant: 0, rate: meanY / meanX };
  const rate = together / spread;
  const constant = meanY - rate * meanX;
  if (rate < 0) return { constant: meanY, rate: 0 };
  if (constant >= 0) return { constant, rate };
  const through = mean(x.map((value, index) => value * y[index]!)) / mean(x.map((value) => value ** 2));
  return { constant: 0, rate: through };
}
