/** What follows when a work is committed: what is known of the step, the evaluation or the epoch is recorded and told. */
import { LockstepError } from "../../shared/errors.ts";
import { stepNumber } from "../../shared/ids.ts";
import { figuresOf } from "../../shared/nn/metrics.ts";
import { checkpoint, checkpointIsDue } from "./checkpointing.ts";
import { endsEpoch, evaluationDue, samplesIn, stepsPerEpoch, totalSteps } from "./epochs.ts";
import type { CoordinatorEffect, CoordinatorEvent } from "./events.ts";
import { noSums } from "./initial-state.ts";
import { openEvaluation } from "./progress.ts";
import { updateSpeeds } from "./speed.ts";
import { readyMembers } from "./state.ts";
import type { CoordinatorState, Evaluation, Sums, Work } from "./state.ts";
import { decide, rateAfter } from "./steering.ts";

/** The open work is committed: records it, and opens the evaluation that is due or asks for the checkpoint, which holds the record. */
export function onCommitted(
  state: CoordinatorState,
  { sums, finite, isAsAdvanced }: Extract<CoordinatorEvent, { type: "committed" }>,
  now: number,
): CoordinatorEffect[] {
  const work = state.work!;
  rememberDuration(state, work, now);
  updateSpeeds(state.members.values(), work, now);
  state.work = undefined;
  if (!finite) return diverged(state, work, sums);
  if (work.name.kind === "train") state.isAsAdvanced = isAsAdvanced;
  const effects = work.name.kind === "train" ? stepTaken(state, work, sums, now) : evaluated(state, work, sums, now);
  if (state.work === undefined && checkpointIsDue(state, now)) effects.push(...checkpoint(state, now));
  return effects;
}

function rememberDuration({ meanDuration }: CoordinatorState, work: Work, now: number): void {
  if (work.disturbed) return;
  const { kind } = work.name;
  const duration = now - work.openedAt;
  const mean = meanDuration[kind] ?? duration;
  // Over about the last 16: deadlines should follow a change, not one hiccup.
  meanDuration[kind] = mean + (duration - mean) / 16;
}

function diverged(state: CoordinatorState, work: Work, sums: Sums): CoordinatorEffect[] {
  const step = work.name.step + (work.name.kind === "train" ? 1 : 0);
  const what = work.name.kind === "train" ? `step ${step} of training` : `the evaluation after step ${step}`;
  state.stopRequested = new LockstepError(
    "LOSS_NOT_FINITE",
    `training diverged: the loss or a gradient of ${what} is not finite (mean loss ${sums.loss / work.samples})`,
    "lower the learning rate; the parameters before this step are in the last checkpoint",
  );
  return [];
}

const accuracyOf = (state: CoordinatorState, sums: Sums): number | undefined =>
  state.settings.countsCorrect ? sums.correct / sums.samples : undefined;

function stepTaken(state: CoordinatorState, work: Work, sums: Sums, now: number): CoordinatorEffect[] {
  const { settings, steering } = state;
  state.steps = stepNumber(state.steps + 1);
  const before = steering.epochSums;
  steering.epochSums = {
    loss: before.loss + sums.loss,
    correct: before.correct + sums.correct,
    samples: before.samples + sums.samples,
  };
  const loss = sums.loss / sums.samples;
  const accuracy = accuracyOf(state, sums);
  const epoch = work.epoch + 1;
  const since = state.trainingSince!;
  const seconds = Math.max(now - since.at, 1) / 1000;
  const samplesPerSecond = (samplesIn(settings, state.steps) - samplesIn(settings, since.steps)) / seconds;
  const steps = totalSteps(settings);
  const secondsLeft = (samplesIn(settings, steps) - samplesIn(settings, state.steps)) / samplesPerSecond;
  const workers = readyMembers(state).length;
  const learningRate = rateAfter(state, state.steps - 1);
  const known = { step: state.steps, epoch, loss, accuracy, learningRate, samplesPerSecond, workers };
  const effects: CoordinatorEffect[] = [
    { type: "record", line: { type: "step", ...known } },
    { type: "notify", event: { type: "step", ...known, steps, epochs: settings.epochs, secondsLeft } },
  ];
  if (evaluationDue(settings, state.steps)) return [...openEvaluation(state, now), ...effects];
  if (endsEpoch(settings, state.steps)) effects.push(...epochOver(state, undefined, now));
  return effects;
}

function evaluated(state: CoordinatorState, work: Work, sums: Sums, now: number): CoordinatorEffect[] {
  const { metrics, target } = state.settings.measured;
  const figures = figuresOf(metrics, target, sums.evaluated ?? {}, work.samples);
  const evaluation = { step: state.steps, loss: sums.loss / work.samples, accuracy: accuracyOf(state, sums), figures };
  state.steering.lastEvaluation = evaluation;
  return epochOver(state, evaluation, now);
}

function epochOver(state: CoordinatorState, evaluation: Evaluation | undefined, now: number): CoordinatorEffect[] {
  const { settings, steering } = state;
  const sums = steering.epochSums;
  steering.epochSums = noSums;
  const seconds = (now - Math.max(state.epochStartedAt, state.trainingSince!.at)) / 1000;
  state.epochStartedAt = now;
  const summary = {
    type: "epoch" as const,
    epoch: state.steps / stepsPerEpoch(settings),
    epochs: settings.epochs,
    loss: sums.loss / sums.samples,
    accuracy: accuracyOf(state, sums),
    testLoss: evaluation?.loss,
    testAccuracy: evaluation?.accuracy,
    testFigures: evaluation?.figures,
    seconds,
  };
  return [
    { type: "record", line: { ...summary, step: state.steps } },
    { type: "notify", event: summary },
    ...decide(state, summary),
  ];
}
