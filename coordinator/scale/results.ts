/** What an experiment found: medians over the repeated runs of each point, what the cost model makes of them, and predictions. */
import { adviceOn } from "./advice.ts";
import { fitCosts, predictedParts, saturation, totalOf, withWorkers } from "./cost-model.ts";
import type { CostModel } from "./cost-model.ts";
import { isSameSeries } from "./experiment.ts";
import type { Point } from "./experiment.ts";
import type { Measurement, StepParts } from "./measure.ts";

export interface Measured {
  readonly point: Point;
  readonly runs: readonly Measurement[];
}

interface Spread {
  readonly median: number;
  readonly least: number;
  readonly greatest: number;
}

/** A point with what it comes to. */
export interface Summary {
  readonly point: Point;
  readonly runs: number;
  readonly samplesPerSecond: Spread;
  readonly millisecondsAStep: Spread;
  /** Times the samples/s of the fewest workers measured with the same threads, shards and batch. */
  readonly speedup: number;
  /** The speed-up for each time as many workers as those: 1 is perfect. */
  readonly efficiency: number;
  /** Of the run with the median step. */
  readonly parts: StepParts;
  readonly coordinatorCores: number;
  readonly bytesAStep: number;
  /** Medians over the runs that reached it. */
  readonly target: { readonly runs: number; readonly steps: number; readonly seconds: number } | undefined;
  readonly predictedMilliseconds: number;
  /** (predicted − measured) / measured */
  readonly predictionError: number;
  /** Where the time goes and what would help, as a sentence. */
  readonly advice: string;
}

/** What the model expects of so many workers, each with a machine of its own. */
interface Expectation {
  readonly workers: number;
  /** The batch stays what it is, and is cut ever smaller. */
  readonly fixedBatch: { readonly millisecondsAStep: number; readonly speedup: number };
  /** The batch grows with the workers: each computes as many samples as one did. */
  readonly growingBatch: { readonly millisecondsAStep: number; readonly speedup: number };
}

export interface Prediction {
  /** The series it goes on from. */
  readonly from: Point;
  readonly curve: readonly Expectation[];
  /** With a fixed batch: where a step is shortest, and from where on the coordinator's own work is more than all else. */
  readonly fastest: number;
  readonly saturatesAt: number | undefined;
}

export interface Results {
  readonly summaries: readonly Summary[];
  readonly model: CostModel;
  readonly predictions: readonly Prediction[];
}

const MOST_WORKERS = 1024;

/** The middle of what was measured; of an even count, the upper of the two in the middle. */
function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((left, right) => left - right);
  return { median: sorted[Math.floor(sorted.length / 2)]!, least: sorted[0]!, greatest: sorted[sorted.length - 1]! };
}

/** @param cores of the machine that everything ran on */
export function resultsOf(measured: readonly Measured[], cores: number): Results {
  const medians = measured.map(({ point, runs }) => ({ point, ...medianRun(runs) }));
  const model = fitCosts(medians, 4 * medians[0]!.parameters, cores);
  const summaries = measured.map(({ point, runs }, index): Summary => {
    const { millisecondsAStep, parts, coordinatorCores, bytesAStep } = medians[index]!;
    const first = medians.find((other) => isSameSeries(other.point, point))!;
    const speedup = first.millisecondsAStep / millisecondsAStep;
    const predicted = totalOf(predictedParts(model, point, cores));
    return {
      point,
      runs: runs.length,
      samplesPerSecond: spreadOf(runs.map((run) => (1000 * point.batch) / run.millisecondsAStep)),
      millisecondsAStep: spreadOf(runs.map((run) => run.millisecondsAStep)),
      speedup,
      efficiency: (speedup * first.point.workers) / point.workers,
      parts,
      coordinatorCores,
      bytesAStep,
      target: targetOf(runs),
      predictedMilliseconds: predicted,
      predictionError: predicted / millisecondsAStep - 1,
      advice: adviceOn(parts, point, cores),
    };
  });
  const series = medians.filter(
    ({ point }, index) => medians.findIndex((each) => isSameSeries(each.point, point)) === index,
  );
  return { summaries, model, predictions: series.map(({ point }) => predictionFrom(model, point)) };
}

function medianRun(runs: readonly Measurement[]): Measurement {
  const sorted = runs.toSorted((left, right) => left.millisecondsAStep - right.millisecondsAStep);
  return sorted[Math.floor(sorted.length / 2)]!;
}

function targetOf(runs: readonly Measurement[]): Summary["target"] {
  const reached = runs.flatMap((run) => (run.reached === undefined ? [] : [run.reached]));
  if (reached.length === 0) return undefined;
  const median = (values: readonly number[]): number => spreadOf(values).median;
  return {
    runs: reached.length,
    steps: median(reached.map(({ steps }) => steps)),
    seconds: median(reached.map(({ seconds }) => seconds)),
  };
}

function predictionFrom(model: CostModel, from: Point): Prediction {
  const time = (workers: number, batch: number): number =>
    totalOf(predictedParts(model, withWorkers({ ...from, batch }, workers), Infinity));
  const one = time(1, from.batch);
  const expectation = (workers: number): Expectation => {
    const fixed = time(workers, from.batch);
    const growing = time(workers, from.batch * workers);
    return {
      workers,
      fixedBatch: { millisecondsAStep: fixed, speedup: one / fixed },
      growingBatch: { millisecondsAStep: growing, speedup: (workers * one) / growing },
    };
  };
  const counts = Array.from({ length: Math.log2(MOST_WORKERS) + 1 }, (_, power) => 2 ** power);
  let fastest = 1;
  for (let workers = 2; workers <= MOST_WORKERS; workers++)
    if (time(workers, from.batch) < time(fastest, from.batch)) fastest = workers;
  return { from, curve: counts.map(expectation), fastest, saturatesAt: saturation(model, from, MOST_WORKERS) };
}
