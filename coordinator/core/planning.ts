/** Which subtrees of the open work each worker computes, now and after a loss. Decides time, never bits. */
import { maximalSubtrees, nodeKey } from "../../shared/gradient/tree.ts";
import type { WorkerId } from "../../shared/ids.ts";
import { assign, bestOf, deadline, disown, giveAway } from "./assigning.ts";
import { isAudited } from "./audit.ts";
import type { CoordinatorEffect } from "./events.ts";
import { sendParameters } from "./sending.ts";
import { isTried, sharesOf } from "./speed.ts";
import { readyMembers } from "./state.ts";
import type { CoordinatorState, Piece, Work } from "./state.ts";
import { noteFailure } from "./trust.ts";

/** What is to be computed, before it is shared out. */
export type PlannedWork = Pick<Work, "name" | "epoch" | "offset" | "samples" | "shards">;

/** Opens a work, as it was planned ahead or is planned now. A piece without an owner gets one in the same event (settling.ts). */
export function openWork(state: CoordinatorState, planned: PlannedWork, now: number): CoordinatorEffect[] {
  const { kind, step } = planned.name;
  const isAhead = kind === "train" && state.ahead[0]?.name.step === step;
  const work = isAhead ? state.ahead.shift()! : plan(state, [planned], now)[0]!;
  state.work = work;
  if (isAhead) takeFromTheUnfit(state, work, now);
  work.openedAt = now;
  const by = deadline(state, kind, now);
  const pieces = [...work.pieces.values()];
  for (const piece of pieces) piece.deadline = by;
  const assigned = isAhead ? sendParameters(state, work, pieces) : assign(state, work, pieces);
  return [{ type: "open", work }, ...assigned];
}

/** Takes from whoever was lost, late or silent since what it was assigned ahead. */
function takeFromTheUnfit(state: CoordinatorState, work: Work, now: number): void {
  const fit = new Set(bestOf(readyMembers(state), now).map(({ id }) => id));
  for (const piece of work.pieces.values()) {
    for (const owner of piece.owners) if (!fit.has(owner)) disown(work, piece, owner);
  }
}

/** Assigns steps that come after the open one, all with the same shares. */
export function planAhead(state: CoordinatorState, planned: readonly PlannedWork[], now: number): CoordinatorEffect[] {
  const works = plan(state, planned, now);
  state.ahead = works;
  return assign(state, works[0]!, [...works[0]!.pieces.values()], works.length);
}

/**
 * Shares works of one size out, the first alone where somebody is tried again: every ready worker owns a contiguous range, by
 * threads or by speed (speed.ts), a surplus stands by.
 */
function plan(state: CoordinatorState, planned: readonly PlannedWork[], now: number): Work[] {
  const members = bestOf(readyMembers(state), now);
  const shares = sharesOf(members, planned[0]!, now);
  const nodes = shares.flatMap(({ start, end }, index) =>
    maximalSubtrees(planned[0]!.shards, start, end).map((node) => ({ node, owner: members[index]!.id })),
  );
  const isUnsure = members.some((member, index) => isTried(member, now) && shares[index]!.end > shares[index]!.start);
  return planned.slice(0, isUnsure ? 1 : planned.length).map((work) => {
    const pieces = nodes.map(({ node, owner }): Piece => ({
      node,
      owners: [owner],
      held: [],
      notFinite: new Set(),
      copies: isAudited(state, work.name, node) ? 2 : 1,
      judge: "idle",
      disputed: false,
      waiting: false,
      done: false,
      deadline: now,
    }));
    return {
      ...work,
      openedAt: now,
      pieces: new Map(pieces.map((piece) => [nodeKey(piece.node), piece])),
      unsettled: new Set(pieces.filter(({ copies }) => copies > 1)),
      left: pieces.length,
      // Sums that are compared, or may not be finite, must be known one by one.
      trusting:
        work.name.kind === "train" && work.name.step !== state.distrusted && pieces.every(({ copies }) => copies === 1),
      disturbed: false,
    };
  });
}

/** Takes a lost worker's unfinished pieces from it; what it had sent of them is thrown away. Says how many there were. */
export function takeFrom(
  state: CoordinatorState,
  worker: WorkerId,
): { effects: CoordinatorEffect[]; reassigned: number } {
  const { work } = state;
  if (work === undefined) return { effects: [], reassigned: 0 };
  const abandoned = [...work.pieces.values()].filter((piece) => !piece.done && piece.owners.includes(worker));
  for (const piece of abandoned) disown(work, piece, worker);
  // What had arrived of them would hold its buffers until the work is over.
  const effects = abandoned.map(({ node }): CoordinatorEffect => ({ type: "drop", worker, node }));
  return { effects, reassigned: abandoned.length };
}

/** Takes a piece from a worker that failed to deliver it; it gets it back only if nobody else is there. */
export function assignToAnother(
  state: CoordinatorState,
  piece: Piece,
  worker: WorkerId,
  now: number,
): CoordinatorEffect[] {
  const work = state.work!;
  // Still an owner, it is passed over: one that fails again and again has the least to do and would be chosen for ever.
  const effects = piece.owners.length <= piece.copies ? giveAway(state, work, [piece], now) : [];
  disown(work, piece, worker);
  return effects;
}

/** Has pieces that are past their deadline computed by another worker as well; the first answer wins. */
export function assignLatePieces(state: CoordinatorState, now: number): CoordinatorEffect[] {
  const { work } = state;
  if (work === undefined) return [];
  const late = [...work.pieces.values()].filter(
    (piece) => !piece.done && piece.owners.length > piece.held.length && now >= piece.deadline,
  );
  if (late.length === 0) return [];
  work.disturbed = true;
  const slow = new Set(late.flatMap(({ owners, held }) => owners.filter((owner) => !held.includes(owner))));
  for (const worker of slow) noteFailure(state, state.members.get(worker)!, now);
  return giveAway(state, work, late, now);
}
