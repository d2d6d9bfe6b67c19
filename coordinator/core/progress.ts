/** What comes next: the one place that decides between evaluating, checkpointing, stopping, waiting and the next step. */
import { LockstepError } from "../../shared/errors.ts";
import { cutIntoShards } from "../../shared/gradient/plan.ts";
import { stepNumber } from "../../shared/ids.ts";
import type { StepNumber } from "../../shared/ids.ts";
import { MOST_WORKS_AHEAD } from "../../shared/protocol/messages.ts";
import { checkpoint } from "./checkpointing.ts";
import { batchOf, evaluationDue, evaluationShards, owesEvaluation, totalSteps } from "./epochs.ts";
import type { CoordinatorEffect } from "./events.ts";
import { pause, unpause } from "./pausing.ts";
import { openWork, planAhead } from "./planning.ts";
import type { PlannedWork } from "./planning.ts";
import type { Settings } from "./settings.ts";
import { readyMembers } from "./state.ts";
import type { CoordinatorState } from "./state.ts";

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
  if (state.saveRequested) return [...checkpoint(state, now), ...proceed(state, now)];
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

export function openEvaluation(state: CoordinatorState, now: number): CoordinatorEffect[] {
  const { testSamples, evaluationChunk } = state.settings;
  const shards = evaluationShards(testSamples, evaluationChunk).sizes.length;
  const epoch = batchOf(state.settings, state.steps - 1).epoch;
  return openWork(
    state,
    { name: { kind: "evaluate", step: state.steps }, epoch, offset: 0, samples: testSamples, shards },
    now,
  );
}
