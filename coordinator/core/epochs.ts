/** Which samples each step takes and when an epoch, an evaluation or the whole training is over: arithmetic, no state. */
import { cutIntoShards } from "../../shared/gradient/plan.ts";
import type { ShardCut } from "../../shared/gradient/plan.ts";
import type { Settings } from "./settings.ts";
import type { CoordinatorState } from "./state.ts";

/** Samples of one shard of an evaluation, at most: part of the arithmetic, so it never changes. */
export const EVALUATION_CHUNK = 250;

/** One training step's place in its epoch. */
export interface Batch {
  /** Counted from 0. */
  readonly epoch: number;
  /** Position in the epoch's order of the first sample. */
  readonly offset: number;
  /** The last batch of an epoch may be smaller than the others. */
  readonly samples: number;
}

export const stepsPerEpoch = ({ trainSamples, batch }: Pick<Settings, "trainSamples" | "batch">): number =>
  Math.ceil(trainSamples / batch);

export const totalSteps = (settings: Settings): number => stepsPerEpoch(settings) * settings.epochs;

/** The batch of a step, counted from 0 over the whole run. */
export function batchOf(settings: Settings, step: number): Batch {
  const perEpoch = stepsPerEpoch(settings);
  const offset = (step % perEpoch) * settings.batch;
  return {
    epoch: Math.floor(step / perEpoch),
    offset,
    samples: Math.min(settings.batch, settings.trainSamples - offset),
  };
}

/** Samples taken in `steps` steps. */
export function samplesIn(settings: Settings, steps: number): number {
  const perEpoch = stepsPerEpoch(settings);
  return Math.floor(steps / perEpoch) * settings.trainSamples + (steps % perEpoch) * settings.batch;
}

/** Whether an epoch ends after `steps` steps. */
export const endsEpoch = (settings: Settings, steps: number): boolean =>
  steps > 0 && steps % stepsPerEpoch(settings) === 0;

/** Whether the parameters after `steps` steps are to be evaluated on the test data. */
export function evaluationDue(settings: Settings, steps: number): boolean {
  if (settings.testSamples === 0 || !endsEpoch(settings, steps)) return false;
  const epochs = steps / stepsPerEpoch(settings);
  return epochs === settings.epochs || (settings.evaluateEvery > 0 && epochs % settings.evaluateEvery === 0);
}

/** The shards of an evaluation of so many samples. */
export const evaluationShards = (samples: number, chunk: number): ShardCut =>
  cutIntoShards(samples, Math.ceil(samples / chunk));

/** Whether the epoch that has just ended is still to be evaluated: its sums are reset when it is closed. A run may end meanwhile. */
export const owesEvaluation = ({
  settings,
  steps,
  steering,
}: Pick<CoordinatorState, "settings" | "steps" | "steering">): boolean =>
  endsEpoch(settings, steps) && steering.epochSums.samples > 0;
