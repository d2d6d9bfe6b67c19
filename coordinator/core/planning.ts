/** Which subtrees of the open work each worker computes, now and after a loss. Decides time, never bits. */
import { maximalSubtrees, nodeKey } from "../../shared/gradient/tree.ts";
import { planRanges } from "../../shared/gradient/plan.ts";
import type { WorkerId } from "../../shared/ids.ts";
import { assign, bestOf, deadline, giveAway } from "./assigning.ts";
import { isAudited } from "./audit.ts";
import type { CoordinatorEffect } from "./events.ts";
import { weightsOf } from "./speed.ts";
import { readyMembers } from "./state.ts";
import type { CoordinatorState, Piece, Work } from "./state.ts";
import { noteFailure } from "./trust.ts";

/** What is to be computed, before it is shared out. */
export type PlannedWork = Pick<Work, "name" | "epoch" | "offset" | "samples" | "shards">;

/** Opens a piece of work: every ready worker owns a contiguous range in proportion to its speed, a surplus stands by. */
export function openWork(state: CoordinatorState, planned: PlannedWork, now: number): CoordinatorEffect[] {
  const members = bestOf(readyMembers(state), now);
  const ranges = planRanges(planned.shards, weightsOf(members));
  const by = deadline(state, planned.name.kind, now);
  const pieces = members.flatMap(({ id }, index) => {
    const { start, end } = ranges[index]!;
    return maximalSubtrees(planned.shards, start, end).map((node): Piece => ({
      node,
      owners: [id],
      held: [],
      copies: isAudited(state, planned.name, node) ? 2 : 1,
      judge: "idle",
      disputed: false,
      waiting: false,
      done: false,
      deadline: by,
    }));
  });
  const work: Work = {
    ...planned,
    openedAt: now,
    pieces: new Map(pieces.map((piece) => [nodeKey(piece.node), piece])),
    unsettled: new Set(pieces.filter(({ copies }) => copies > 1)),
    left: pieces.length,
    disturbed: false,
  };
  state.work = work;
  return [{ type: "open", work }, ...assign(state, work, pieces)];
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

function disown(work: Work, piece: Piece, worker: WorkerId): void {
  piece.owners = piece.owners.filter((owner) => owner !== worker);
  piece.held = piece.held.filter((owner) => owner !== worker);
  // One more than there are decides, also when there are fewer than before.
  if (piece.disputed && piece.judge === "unable") piece.copies = Math.max(2, piece.held.length + 1);
  work.unsettled.add(piece);
  work.disturbed = true;
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
