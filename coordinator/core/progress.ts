/** What comes next: the one place that decides between evaluating, checkpointing, stopping, waiting and the next step. */
import { LockstepError } from "../../shared/errors.ts";
import { cutIntoShards } from "../../shared/gradient/plan.ts";
import { stepNumber } from "../../shared/ids.ts";
import type { StepNumber } from "../../shared/ids.ts";
import { figuresOf } from "../../shared/nn/metrics.ts";
import { MOST_WORKS_AHEAD } from "../../shared/protocol/messages.ts";
import {
  batchOf,
  endsEpoch,
  evaluationDue,
  evaluationShards,
  owesEvaluation,
  samplesIn,
  stepsPerEpoch,
  totalSteps,
} from "./epochs.ts";
import type { CoordinatorEffect, CoordinatorEvent } from "./events.ts";
import { pause, unpause } from "./pausing.ts";
import { openWork, planAhead } from "./planning.ts";
import type { PlannedWork } from "./planning.ts";
import { updateSpeeds } from "./speed.ts";
import { noSums } from "./initial-state.ts";
import { readyMembers } from "./state.ts";
import type { CoordinatorState, Evaluation, Sums, Work } from "./state.ts";
import type { Settings } from "./settings.ts";
import { decide, rateAfter } from "./steering.ts";

/** Milliseconds of training that are assigned ahead, or one step. */
const AHEAD = 100;

/** Goes on with the run if nothing is open. Called after every event; the order of the questions is the priority. */
export function proceed(state: CoordinatorState, now: number): CoordinatorEffect[] {
  const { settings, stopRequested } = state;
  // Most events find work open; what follows looks at every member.
  if (state.phase === "ended" || (state.work !== undefined && stopRequested === undefined)) return [];
  const ready = readyMembers(state).length;
  // A stop lets the open step finish, unless nobody is left to finish it.
  if (stopRequested !== undefined && (state.work === undefined || ready === 0)) {
    return end(state, stopRequested === "user" ? "stopped" : stopRequested, now);
  }
  if (state.work !== undefined) return [];
  if (state.saveRequested) {
    const saved = checkpoint(state, now);
    if (saved.length > 0) return [...saved, ...proceed(state, now)];
  }
  // Workers may have begun with what they were assigned ahead.
  if (state.pauseRequested && state.ahead.length === 0) return pause(state, now);
  if (isOver(state)) return end(state, "completed", now);
  if (!enoughWorkers(state, ready, now)) {
    // Workers compute what they were assigned ahead in vain, as it is not open: it is assigned anew.
    state.ahead = [];
    if (state.waitingSaid) return [];
    state.waitingSaid = true;
    const needed = state.phase === "gathering" ? settings.startWorkers : settings.minWorkers;
    return [{ type: "notify", event: { type: "waiting", workers: ready, needed } }];
  }
  state.waitingSaid = false;
  state.phase = "running";
  state.trainingSince ??= { at: now, steps: state.steps };
  return owesEvaluation(state) ? openEvaluation(state, now) : openStep(state, now);
}

/** Whether there is nothing left to train or to evaluate. */
export const isOver = (state: CoordinatorState): boolean =>
  !owesEvaluation(state) && (state.steps >= totalSteps(state.settings) || state.steering.watch.stopped);

function enoughWorkers(state: CoordinatorState, ready: number, now: number): boolean {
  const { startWorkers, minWorkers, gatherFor } = state.settings;
  const gathering = state.phase === "gathering" && now - state.startedAt < gatherFor;
  return ready >= Math.max(1, gathering ? startWorkers : minWorkers);
}

function end(
  state: CoordinatorState,
  outcome: "completed" | "stopped" | LockstepError,
  now: number,
): CoordinatorEffect[] {
  // For the time it took; nothing goes on, so nobody is told.
  unpause(state, now);
  state.phase = "ended";
  state.work = undefined;
  state.ahead = [];
  const reason = outcome instanceof LockstepError ? "failed" : outcome;
  const farewells = [...state.members.values()].flatMap(({ id: worker, phase }): CoordinatorEffect[] => [
    // Who has not proven that it may join learns nothing of the run, nor how it ended.
    ...(phase === "connected" ? [] : [{ type: "send", worker, message: { type: "end", reason } } as const]),
    { type: "close", worker },
  ]);
  // Whoever goes from here on is not lost.
  state.members.clear();
  return [...checkpoint(state, state.lastCheckpoint.at), ...farewells, { type: "finish", outcome }];
}

/** Asks for a checkpoint unless the last one already holds these parameters and what is known of them, or will. */
function checkpoint(state: CoordinatorState, now: number): CoordinatorEffect[] {
  state.saveRequested = false;
  const { steps, lastCheckpoint } = state;
  const owes = owesEvaluation(state);
  if (lastCheckpoint.step === steps && lastCheckpoint.owesEvaluation === owes && !lastCheckpoint.failed) return [];
  state.lastCheckpoint = { at: now, step: steps, owesEvaluation: owes, failed: false };
  return [{ type: "checkpoint" }];
}

function checkpointIsDue({ settings, steps, lastCheckpoint, saveRequested }: CoordinatorState, now: number): boolean {
  return (
    saveRequested ||
    (settings.checkpointSteps > 0 && steps - lastCheckpoint.step >= settings.checkpointSteps) ||
    (settings.checkpointEvery > 0 && now - lastCheckpoint.at >= settings.checkpointEvery)
  );
}

function openStep(state: CoordinatorState, now: number): CoordinatorEffect[] {
  return [...openWork(state, stepWork(state.settings, state.steps), now), ...planNext(state, now)];
}

/** Assigns the steps after the open one, up to where something else comes between them. */
function planNext(state: CoordinatorState, now: number): CoordinatorEffect[] {
  const { settings, stopRequested, pauseRequested, steps } = state;
  if (stopRequested !== undefined || pauseRequested || state.ahead.length > 0) return [];
  const planned: PlannedWork[] = [];
  for (let step = steps + 1; planned.length < stepsAhead(state); step++) {
    if (step >= totalSteps(settings) || evaluationDue(settings, step)) break;
    const work = stepWork(settings, stepNumber(step));
    // One message names them all.
    if (planned[0] !== undefined && (work.epoch !== planned[0].epoch || work.samples !== planned[0].samples)) break;
    planned.push(work);
  }
  return planned.length === 0 ? [] : planAhead(state, planned, now);
}

/** So many that their assignment is not worth mentioning, and so few that a worker who joins is soon given something. */
function stepsAhead({ meanDuration }: CoordinatorState): number {
  const { train } = meanDuration;
  return train === undefined ? 1 : Math.max(1, Math.min(MOST_WORKS_AHEAD, Math.floor(AHEAD / train)));
}

function stepWork(settings: Settings, step: StepNumber): PlannedWork {
  const batch = batchOf(settings, step);
  const shards = cutIntoShards(batch.samples, settings.shards).sizes.length;
  return { name: { kind: "train", step }, ...batch, shards };
}

function openEvaluation(state: CoordinatorState, now: number): CoordinatorEffect[] {
  const { testSamples, evaluationChunk } = state.settings;
  const shards = evaluationShards(testSamples, evaluationChunk).sizes.length;
  const epoch = batchOf(state.settings, state.steps - 1).epoch;
  return openWork(
    state,
    { name: { kind: "evaluate", step: state.steps }, epoch, offset: 0, samples: testSamples, shards },
    now,
  );
}

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
  const line = { type: "step", step: state.steps, epoch, loss, accuracy, learningRate, samplesPerSecond, workers };
  const effects: CoordinatorEffect[] = [
    { type: "record", line },
    {
      type: "notify",
      event: {
        type: "step",
        step: state.steps,
        steps,
        epoch,
        epochs: settings.epochs,
        loss,
        accuracy,
        learningRate,
        samplesPerSecond,
        secondsLeft,
        workers,
      },
    },
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
