/**
 * Whose sum of a piece is used, and when: as soon as there are as many as it needs, which is one, or two that are compared
 * (audit.ts). With the last piece the work is committed.
 */
import type { WorkerId } from "../../shared/ids.ts";
import { giveAway } from "./assigning.ts";
import type { CoordinatorEffect } from "./events.ts";
import { readyMembers } from "./state.ts";
import type { CoordinatorState, Piece, Work } from "./state.ts";

/** Decides what there is to decide about the open work's pieces. Called after every event, and after work is opened. */
export function settlePieces(state: CoordinatorState, now: number): CoordinatorEffect[] {
  const { work } = state;
  if (work === undefined || work.unsettled.size === 0) return [];
  const short = [...work.unsettled].filter((piece) => piece.owners.length < piece.copies);
  return [...giveAway(state, work, short, now), ...[...work.unsettled].flatMap((piece) => settle(state, work, piece))];
}

function settle(state: CoordinatorState, work: Work, piece: Piece): CoordinatorEffect[] {
  const { held, owners, copies, node } = piece;
  if (owners.length >= copies) work.unsettled.delete(piece);
  if (held.length >= copies) {
    return copies === 1 ? use(work, piece, held[0]!) : [{ type: "compare", work: work.name, node, workers: held }];
  }
  // Somebody is still computing it, or nobody is there to do so.
  if (owners.length > held.length || held.length === 0) return [];
  // A second opinion is wanted, and there is no other worker to ask.
  if (piece.judge === "idle" && state.settings.exact) {
    piece.judge = "asked";
    return [{ type: "judge", work, node }];
  }
  if (piece.judge === "asked") return [];
  // A run that is content with one worker is not kept waiting for another, unless workers have differed.
  if (!piece.disputed && state.settings.minWorkers === 1) return use(work, piece, held[0]!);
  if (piece.waiting) return [];
  piece.waiting = true;
  const workers = readyMembers(state).length;
  return [{ type: "notify", event: { type: "waiting", workers, needed: workers + 1 } }];
}

/** Adds a worker's sum; other copies are not needed any more. */
export function use(work: Work, piece: Piece, worker: WorkerId): CoordinatorEffect[] {
  piece.done = true;
  work.left -= 1;
  work.unsettled.delete(piece);
  const others = piece.owners.filter((owner) => owner !== worker);
  return [
    { type: "fold", worker, node: piece.node },
    // Half a copy that is still arriving would hold its buffer for nothing.
    ...others.map((owner): CoordinatorEffect => ({ type: "drop", worker: owner, node: piece.node })),
    ...(work.left === 0 ? [{ type: "commit", work } as const] : []),
  ];
}
