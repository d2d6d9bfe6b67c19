/** A pause between two steps. Time that passes in it counts for no rate, and the bits of what follows are the same. */
import type { CoordinatorEffect } from "./events.ts";
import type { CoordinatorState } from "./state.ts";

/** No step is open, and none is to be opened: says so once. */
export function pause(state: CoordinatorState, now: number): CoordinatorEffect[] {
  if (state.pausedSince !== undefined) return [];
  state.pausedSince = now;
  return [{ type: "notify", event: { type: "paused", step: state.steps } }];
}

export function unpause(state: CoordinatorState, now: number): CoordinatorEffect[] {
  state.pauseRequested = false;
  if (state.pausedSince === undefined) return [];
  const length = now - state.pausedSince;
  state.pausedSince = undefined;
  if (state.trainingSince !== undefined)
    state.trainingSince = { ...state.trainingSince, at: state.trainingSince.at + length };
  state.epochStartedAt += length;
  return [{ type: "notify", event: { type: "resumed", step: state.steps } }];
}
