/** Which parameters are sent to whom, and when: for a work that is open, or ahead of the next one. Decides time, never bits. */
import { stepNumber } from "../../shared/ids.ts";
import type { CoordinatorEffect, Rest } from "./events.ts";
import type { WorkName } from "../../shared/protocol/messages.ts";
import { evaluationDue, totalSteps } from "./schedule.ts";
import { readyMembers } from "./state.ts";
import type { CoordinatorState, Member, Piece, Work } from "./state.ts";

/** Sends the parameters to the latest owners of these pieces, unless they have them. */
export function sendParameters(state: CoordinatorState, work: Work, pieces: readonly Piece[]): CoordinatorEffect[] {
  return pieces.flatMap((piece): CoordinatorEffect[] => {
    const owner = piece.owners.at(-1);
    const member = owner && state.members.get(owner);
    if (member === undefined || member.sharesMemory || member.sentVersion === work.name.step) return [];
    const { step } = work.name;
    member.sentVersion = step;
    const part = member.hasWhole[step % 2]! ? "trained" : "whole";
    return [{ type: "send-parameters", worker: member.id, part, rest: restOf(state, member) }];
  });
}

/** What a member has not got of the current parameters. */
function restOf({ steps, isAsAdvanced }: CoordinatorState, { sentAhead }: Member): Rest {
  if (sentAhead?.version !== steps) return "all";
  return isAsAdvanced ? sentAhead.from : "again";
}

/**
 * The next parameters are in place from this byte on, provisionally: whoever works on the open step will need them, and its
 * connection would be idle meanwhile.
 */
export function sendAhead(state: CoordinatorState, name: WorkName, from: number): CoordinatorEffect[] {
  const { settings, steps, stopRequested, work } = state;
  const version = stepNumber(steps + 1);
  const isNeeded = version < totalSteps(settings) || evaluationDue(settings, version);
  if (work?.name.kind !== name.kind || steps !== name.step || !isNeeded || stopRequested !== undefined) return [];
  return readyMembers(state)
    .filter(
      ({ sharesMemory, sentVersion, hasWhole }) => !sharesMemory && sentVersion === steps && hasWhole[version % 2],
    )
    .map((member) => {
      const until = member.sentAhead?.version === version ? member.sentAhead.from : undefined;
      member.sentAhead = { version, from };
      return { type: "send-ahead", worker: member.id, from, until };
    });
}
