/** Which subtrees of the open work each worker computes, now and after a loss. Decides time, never bits. */
import { maximalSubtrees, nodeKey } from "../../shared/gradient/tree.ts";
import { planRanges } from "../../shared/gradient/plan.ts";
import type { WorkerId } from "../../shared/ids.ts";
import type { WorkKind } from "../../shared/protocol/messages.ts";
import type { CoordinatorEffect } from "./events.ts";
import { weightsOf } from "./speed.ts";
import { readyMembers } from "./state.ts";
import type { CoordinatorState, Member, Piece, Work } from "./state.ts";

/** Before a step's usual duration is known, and at least, a piece is given this long before someone else computes it too. */
const FIRST_DEADLINE = 30_000;
const SHORTEST_DEADLINE = 2_000;
/** Copies of subtrees that may be on their way at a time, for each shard: as many as there are buffers for. */
export const COPIES_PER_SHARD = 2;
/** A piece that takes this many times the usual duration is late. */
const PATIENCE = 8;
/** A worker that has missed two heartbeats may be frozen: it is given nothing new until it is heard again. */
const QUIET_AFTER = 2_500;

function deadline(state: CoordinatorState, kind: WorkKind, now: number): number {
  const usual = state.meanDuration[kind];
  return now + (usual === undefined ? FIRST_DEADLINE : Math.max(SHORTEST_DEADLINE, PATIENCE * usual));
}

/** Opens a piece of work: every ready worker owns a contiguous range in proportion to its speed, a surplus stands by. */
export function openWork(
  state: CoordinatorState,
  work: Omit<Work, "pieces" | "openedAt" | "disturbed">,
  now: number,
): CoordinatorEffect[] {
  const ready = readyMembers(state);
  const heard = ready.filter((member) => now - member.lastHeard < QUIET_AFTER);
  const members = heard.length > 0 ? heard : ready;
  const ranges = planRanges(work.shards, weightsOf(members));
  const pieces = new Map<string, Piece>();
  members.forEach((member, index) => {
    const range = ranges[index]!;
    for (const node of maximalSubtrees(work.shards, range.start, range.end)) {
      pieces.set(nodeKey(node), {
        node,
        owners: [member.id],
        done: false,
        deadline: deadline(state, work.name.kind, now),
      });
    }
  });
  const opened: Work = { ...work, openedAt: now, pieces, disturbed: false };
  state.work = opened;
  return [{ type: "open", work: opened }, ...assign(state, opened, [...pieces.values()])];
}

/** Sends each piece to its latest owner, one assignment a worker, the parameters behind it where they are new to it. */
function assign(state: CoordinatorState, work: Work, pieces: readonly Piece[]): CoordinatorEffect[] {
  const nodesOf = new Map<WorkerId, [number, number][]>();
  for (const { node, owners } of pieces) {
    const owner = owners[owners.length - 1]!;
    nodesOf.set(owner, [...(nodesOf.get(owner) ?? []), [node.start, node.end]]);
  }
  const { name, epoch, offset, samples, shards } = work;
  return [...nodesOf].flatMap(([worker, nodes]): CoordinatorEffect[] => {
    const assignment: CoordinatorEffect = {
      type: "send",
      worker,
      message: { type: "assignment", work: name, epoch, offset, samples, shards, nodes },
    };
    const member = state.members.get(worker)!;
    if (member.sentVersion === name.step) return [assignment];
    member.sentVersion = name.step;
    return [assignment, { type: "send-parameters", worker }];
  });
}

/** Gives a lost worker's unfinished pieces to others. */
export function reassignFrom(
  state: CoordinatorState,
  worker: WorkerId,
  now: number,
): { effects: CoordinatorEffect[]; reassigned: number } {
  const { work } = state;
  if (work === undefined) return { effects: [], reassigned: 0 };
  const abandoned = [...work.pieces.values()].filter((piece) => !piece.done && piece.owners.includes(worker));
  for (const piece of abandoned) piece.owners = piece.owners.filter((owner) => owner !== worker);
  const orphans = abandoned.filter((piece) => piece.owners.length === 0);
  return {
    // What had arrived of them would hold its buffers until the work is over.
    effects: [
      ...abandoned.map(({ node }): CoordinatorEffect => ({ type: "drop", worker, node })),
      ...giveAway(state, work, orphans, now),
    ],
    reassigned: abandoned.length,
  };
}

/** Takes a piece from a worker that failed to deliver it; it gets it back only if nobody else is there. */
export function assignToAnother(
  state: CoordinatorState,
  piece: Piece,
  worker: WorkerId,
  now: number,
): CoordinatorEffect[] {
  // Still an owner, it is passed over: one that fails again and again has the least to do and would be chosen for ever.
  const effects = piece.owners.length === 1 ? giveAway(state, state.work!, [piece], now) : [];
  piece.owners = piece.owners.filter((owner) => owner !== worker);
  return [...effects, ...assignOrphans(state, now)];
}

/** Gives pieces that nobody computes to the workers there are; without any they wait for the next to join. */
export function assignOrphans(state: CoordinatorState, now: number): CoordinatorEffect[] {
  const { work } = state;
  if (work === undefined) return [];
  const orphans = [...work.pieces.values()].filter((piece) => !piece.done && piece.owners.length === 0);
  return giveAway(state, work, orphans, now);
}

/** Has pieces that are past their deadline computed by another worker as well; the first answer wins. */
export function assignLatePieces(state: CoordinatorState, now: number): CoordinatorEffect[] {
  const { work } = state;
  if (work === undefined) return [];
  const late = [...work.pieces.values()].filter(
    (piece) => !piece.done && piece.owners.length > 0 && now >= piece.deadline,
  );
  const pieces = [...work.pieces.values()];
  const copies = pieces.reduce((sum, piece) => sum + (piece.done ? 1 : piece.owners.length), 0);
  return giveAway(state, work, late.slice(0, COPIES_PER_SHARD * work.shards - copies), now);
}

/** Adds one more owner to each piece: the ready worker that owns it not yet and has the least to do. */
function giveAway(state: CoordinatorState, work: Work, pieces: readonly Piece[], now: number): CoordinatorEffect[] {
  if (pieces.length > 0) work.disturbed = true;
  const load = new Map<WorkerId, number>();
  for (const piece of work.pieces.values()) {
    if (!piece.done) for (const owner of piece.owners) load.set(owner, (load.get(owner) ?? 0) + sizeOf(piece));
  }
  const given = pieces.filter((piece) => {
    piece.deadline = deadline(state, work.name.kind, now);
    const taker = readyMembers(state)
      .filter((member) => !piece.owners.includes(member.id))
      .reduce<Member | undefined>(
        (best, member) => (best === undefined || (load.get(member.id) ?? 0) < (load.get(best.id) ?? 0) ? member : best),
        undefined,
      );
    if (taker === undefined) return false;
    piece.owners.push(taker.id);
    load.set(taker.id, (load.get(taker.id) ?? 0) + sizeOf(piece));
    return true;
  });
  return assign(state, work, given);
}

const sizeOf = (piece: Piece): number => piece.node.end - piece.node.start;
