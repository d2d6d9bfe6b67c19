/** What the coordinator's core is told of a run, once. */
import type { TargetSpec } from "../../shared/data/target.ts";
import type { RunId } from "../../shared/ids.ts";
import type { MetricSpec } from "../../shared/nn/metrics.ts";
import type { Schedule } from "../../shared/optim/schedule.ts";
import type { Figure } from "./watch.ts";

/** What does not change during a run. Times are milliseconds. */
export interface Settings {
  readonly run: RunId;
  readonly version: string;
  readonly dataSha256: string;
  readonly layoutHash: string;
  readonly batch: number;
  readonly shards: number;
  readonly epochs: number;
  readonly trainSamples: number;
  /** 0 where there is no test data. */
  readonly testSamples: number;
  /** Samples of one shard of an evaluation, at most. */
  readonly evaluationChunk: number;
  /** Epochs between evaluations; 0 for one at the very end. */
  readonly evaluateEvery: number;
  /** What evaluations measure besides, and of which targets. */
  readonly measured: { readonly metrics: readonly MetricSpec[]; readonly target: TargetSpec };
  /** Whether the metrics count correct answers (classification). */
  readonly countsCorrect: boolean;
  readonly schedule: Schedule;
  /** The figure that decides on plateaus, early stopping and the best checkpoint. */
  readonly monitor: Figure;
  /** Training stops once the figure has not improved by that share for as many epochs in which it was known. */
  readonly stopEarly: { readonly patience: number; readonly threshold: number } | undefined;
  /** Whether the checkpoint with the best figure is kept. */
  readonly keepBest: boolean;
  /** Training goes on with at least this many workers… */
  readonly minWorkers: number;
  /** …and starts once this many are ready, or with fewer after `gatherFor`. */
  readonly startWorkers: number;
  readonly gatherFor: number;
  /** Names of the workers that the run starts itself: nobody else may have them. */
  readonly ownNames: readonly string[];
  /** Checkpoint after so many steps, or so long after the last one; 0 for never. */
  readonly checkpointSteps: number;
  readonly checkpointEvery: number;
  /** Whether a worker whose arithmetic differs is refused. */
  readonly exact: boolean;
  /** Share of the partials that a second worker computes too, before they are used. */
  readonly audit: number;
}
