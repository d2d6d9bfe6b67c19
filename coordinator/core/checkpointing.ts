/** When the parameters are to be on disk. */
import { owesEvaluation } from "./epochs.ts";
import type { CoordinatorEffect } from "./events.ts";
import type { CoordinatorState } from "./state.ts";

/** Asks for a checkpoint unless the last one already holds these parameters and what is known of them, or will. */
export function checkpoint(state: CoordinatorState, now: number): CoordinatorEffect[] {
  state.saveRequested = false;
  const { steps, lastCheckpoint } = state;
  const owes = owesEvaluation(state);
  if (lastCheckpoint.step === steps && lastCheckpoint.owesEvaluation === owes && !lastCheckpoint.failed) return [];
  state.lastCheckpoint = { at: now, step: steps, owesEvaluation: owes, failed: false };
  return [{ type: "checkpoint" }];
}

/** Whether one was asked for, or so many steps or so much time has passed since the last. */
export function checkpointIsDue(
  { settings, steps, lastCheckpoint, saveRequested }: CoordinatorState,
  now: number,
): boolean {
  return (
    saveRequested ||
    (settings.checkpointSteps > 0 && steps - lastCheckpoint.step >= settings.checkpointSteps) ||
    (settings.checkpointEvery > 0 && now - lastCheckpoint.at >= settings.checkpointEvery)
  );
}
