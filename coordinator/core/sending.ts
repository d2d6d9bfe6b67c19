/** Which parameters are sent to whom, and when: for a work that is open, or ahead of the next one. Decides time, never bits. */
import { stepNumber } from "../../shared/ids.ts";
import type { StepNumber } from "../../shared/ids.ts";
import type { CoordinatorEffect, Rest } from "./events.ts";
import type { WorkName } from "../../shared/protocol/messages.ts";
import { evaluationDue, totalSteps } from "./epochs.ts";
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
    const holdsLast = holdsBefore(member, step);
    return [{ type: "send-parameters", worker: member.id, part, rest: restOf(state, member), holdsLast }];
  });
}

/** Whether a member is known to have the version before this one. */
const holdsBefore = ({ holds }: Member, version: StepNumber): boolean => holds !== undefined && holds + 1 === version;

/** What a member has not got of the current parameters. */
function restOf({ steps, isAsAdvanced }: CoordinatorState, { sentAhead }: Member): Rest {
  if (sentAhead?.version !== steps) return "all";
  return isAsAdvanced ? sentAhead.from : "again";
}

/**
 * Whether it is of use to have the end of the next parameters before the step is taken: they are needed, and somebody can be sent
 * them ahead.
 */
export function sendsAhead(state: CoordinatorState): boolean {
  const { settings, steps, stopRequested } = state;
  const isNeeded = steps + 1 < totalSteps(settings) || evaluationDue(settings, steps + 1);
  return (
    isNeeded && stopRequested === undefined && [...state.members.values()].some((member) => isAhead(state, member))
  );
}

/**
 * Whether a member is sent parameters ahead: it works on the open step, and its connection would be idle meanwhile. On one host
 * sending is computing's rival for the processor, and is not hurried.
 */
const isAhead = (
  { steps }: CoordinatorState,
  { phase, isLocal, sharesMemory, sentVersion, hasWhole }: Member,
): boolean => phase === "ready" && !isLocal && !sharesMemory && sentVersion === steps && hasWhole[(steps + 1) % 2]!;

/** The next parameters are in place from this byte on, provisionally. */
export function sendAhead(state: CoordinatorState, name: WorkName, from: number): CoordinatorEffect[] {
  const { steps, work } = state;
  if (work?.name.kind !== name.kind || steps !== name.step || !sendsAhead(state)) return [];
  const version = stepNumber(steps + 1);
  return readyMembers(state)
    .filter((member) => isAhead(state, member))
    .map((member) => {
      const until = member.sentAhead?.version === version ? member.sentAhead.from : undefined;
      member.sentAhead = { version, from };
      return { type: "send-ahead", worker: member.id, from, until, holdsLast: holdsBefore(member, version) };
    });
}
