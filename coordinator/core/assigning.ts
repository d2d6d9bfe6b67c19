/** Who is given a piece of the open work, and by when it is wanted. Decides time, never bits. */
import type { WorkerId } from "../../shared/ids.ts";
import { QUIET_AFTER } from "../../shared/protocol/liveness.ts";
import type { WorkKind } from "../../shared/protocol/messages.ts";
import type { CoordinatorEffect } from "./events.ts";
import { sendParameters } from "./sending.ts";
import { readyMembers } from "./state.ts";
import type { CoordinatorState, Member, Piece, Work } from "./state.ts";

/** Before a step's usual duration is known, and at least, a piece is given this long before someone else computes it too. */
const FIRST_DEADLINE = 30_000;
const SHORTEST_DEADLINE = 2_000;
/** A piece that takes this many times the usual duration is late. */
const PATIENCE = 8;

/** Copies of subtrees that may be on their way or here at a time: as many as there are buffers for. */
export const mostCopies = (shards: number): number => 2 * shards + 2;

export function deadline(state: CoordinatorState, kind: WorkKind, now: number): number {
  const usual = state.meanDuration[kind];
  return now + (usual === undefined ? FIRST_DEADLINE : Math.max(SHORTEST_DEADLINE, PATIENCE * usual));
}

/** Those of the members to whom new work is best given: heard lately, and not resting after failures; else the next best. */
export function bestOf(members: readonly Member[], now: number): readonly Member[] {
  const heard = members.filter((member) => now - member.lastHeard < QUIET_AFTER);
  const rested = heard.filter((member) => member.restsUntil <= now);
  return rested.length > 0 ? rested : heard.length > 0 ? heard : members;
}

/**
 * Sends each piece to its latest owner, one assignment a worker, for this work or for several that begin with it; the
 * parameters behind it if the work is open.
 */
export function assign(state: CoordinatorState, work: Work, pieces: readonly Piece[], works = 1): CoordinatorEffect[] {
  const nodesOf = new Map<WorkerId, [number, number][]>();
  for (const piece of pieces) {
    const owner = piece.owners[piece.owners.length - 1]!;
    const node: [number, number] = [piece.node.start, piece.node.end];
    const nodes = nodesOf.get(owner);
    if (nodes === undefined) nodesOf.set(owner, [node]);
    else nodes.push(node);
  }
  const { name, epoch, offset, samples, shards } = work;
  const assignments = [...nodesOf].map(([worker, nodes]): CoordinatorEffect => ({
    type: "send",
    worker,
    message: { type: "assignment", work: name, works, epoch, offset, samples, shards, nodes },
  }));
  return state.work === work ? [...assignments, ...sendParameters(state, work, pieces)] : assignments;
}

/** Adds one more owner to each piece, as far as there are workers and buffers: of the best, the one with the least to do. */
export function giveAway(
  state: CoordinatorState,
  work: Work,
  pieces: readonly Piece[],
  now: number,
): CoordinatorEffect[] {
  if (pieces.length === 0) return [];
  const load = new Map<WorkerId, number>();
  const ready = readyMembers(state);
  let room = mostCopies(work.shards);
  for (const piece of work.pieces.values()) {
    room -= piece.done ? 1 : piece.owners.length;
    if (!piece.done) for (const owner of piece.owners) load.set(owner, (load.get(owner) ?? 0) + sizeOf(piece));
  }
  const given = pieces.filter((piece) => {
    piece.deadline = deadline(state, work.name.kind, now);
    const others = ready.filter((member) => !piece.owners.includes(member.id) && isAnother(state, piece, member));
    const taker = bestOf(others, now).reduce<Member | undefined>(
      (best, member) => (best === undefined || (load.get(member.id) ?? 0) < (load.get(best.id) ?? 0) ? member : best),
      undefined,
    );
    if (taker === undefined || room <= 0) return false;
    room -= 1;
    piece.owners.push(taker.id);
    load.set(taker.id, (load.get(taker.id) ?? 0) + sizeOf(piece));
    return true;
  });
  return assign(state, work, given);
}

/** Takes a piece from one of its owners. */
export function disown(work: Work, piece: Piece, worker: WorkerId): void {
  piece.owners = piece.owners.filter((owner) => owner !== worker);
  piece.held = piece.held.filter((owner) => owner !== worker);
  // One more than there are decides, also when there are fewer than before.
  if (piece.judge === "unable") piece.copies = Math.max(2, piece.held.length + 1);
  work.unsettled.add(piece);
  work.disturbed = true;
}

/** A second opinion must be another worker's: one that comes back while its old connection still counts is the same. */
const isAnother = (state: CoordinatorState, { copies, owners }: Piece, member: Member): boolean =>
  copies === 1 || owners.every((owner) => state.members.get(owner)?.name !== member.name);

const sizeOf = (piece: Piece): number => piece.node.end - piece.node.start;
