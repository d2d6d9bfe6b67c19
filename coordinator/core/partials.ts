/** What becomes of a partial: used once, or answered with the code that says why not. */
import type { WorkerId } from "../../shared/ids.ts";
import { nodeKey, toNode } from "../../shared/gradient/tree.ts";
import type { TreeNode } from "../../shared/gradient/tree.ts";
import type { Answer, Partial, PlacedPartial, WorkName } from "../../shared/protocol/messages.ts";
import { isSameWork } from "../../shared/protocol/work-name.ts";
import type { CoordinatorEffect, CoordinatorEvent } from "./events.ts";
import { assignToAnother } from "./planning.ts";
import { noteFailure } from "./trust.ts";
import { noteDelivered } from "./speed.ts";
import type { CoordinatorState, Piece } from "./state.ts";

/** So many spoiled steps of a kind are told one by one. */
const EACH_TOLD = 3;
/** Kinds that are counted; those that happened last are kept, and would be told of anew. */
const MOST_SPOILINGS = 1_000;

/** The piece a partial answers, or the code of why it is not wanted. */
function wanted(state: CoordinatorState, worker: WorkerId, name: WorkName, node: TreeNode): Piece | Answer["code"] {
  const { work } = state;
  if (work === undefined || !isSameWork(work.name, name)) return "PARTIAL_STALE";
  const piece = work.pieces.get(nodeKey(node));
  if (piece === undefined) return "PARTIAL_STALE";
  if (piece.done || piece.held.includes(worker)) return "PARTIAL_DUPLICATE";
  if (!piece.owners.includes(worker)) return "PARTIAL_STALE";
  return piece;
}

/** The same of what has come, or begun to come, which may be of another run. */
const wantedOf = (
  state: CoordinatorState,
  worker: WorkerId,
  { run, work, node }: Partial | PlacedPartial,
): ReturnType<typeof wanted> =>
  run === state.settings.run ? wanted(state, worker, work, toNode(node)) : "PARTIAL_STALE";

/** Whether a partial is wanted of which a segment has begun to come. */
export const isWanted = (state: CoordinatorState, worker: WorkerId, partial: Partial): boolean =>
  typeof wantedOf(state, worker, partial) !== "string";

const answer = (worker: WorkerId, code: Answer["code"], work: WorkName, node: TreeNode): CoordinatorEffect => ({
  type: "send",
  worker,
  message: { type: "answer", code, work, node: [node.start, node.end] },
});

/** A segment has come in, or a whole partial is in shared memory: its bytes are taken only if it is still wanted. */
export function onPartial(
  state: CoordinatorState,
  worker: WorkerId,
  partial: Partial | PlacedPartial,
): CoordinatorEffect[] {
  const piece = wantedOf(state, worker, partial);
  if (typeof piece !== "string") {
    state.members.get(worker)!.holds = partial.work.step;
    return [{ type: "receive", worker, partial }];
  }
  // One answer a partial, not one a segment; with the one that comes last, since another copy may be whole while this one arrives.
  const isLast = partial.type === "placed-partial" || partial.segment.offset === 0;
  return isLast ? [answer(worker, piece, partial.work, toNode(partial.node))] : [];
}

/** A whole partial is here: it is kept to be used (settling.ts), or dropped if another copy was first or the step is over. */
export function onAssembled(
  state: CoordinatorState,
  { worker, work: name, node, finite, computeMicroseconds }: Extract<CoordinatorEvent, { type: "assembled" }>,
): CoordinatorEffect[] {
  const piece = wanted(state, worker, name, node);
  if (typeof piece === "string") return [{ type: "drop", worker, node }, answer(worker, piece, name, node)];
  const work = state.work!;
  const member = state.members.get(worker)!;
  // It could not have computed without them.
  member.hasWhole[name.step % 2] = true;
  // A partial whose last segment came over from one that was begun before does not know its time.
  if (computeMicroseconds > 0) noteDelivered(member, node.end - node.start, computeMicroseconds);
  piece.held.push(worker);
  work.unsettled.add(piece);
  if (!finite) piece.notFinite.add(worker);
  if (!finite && piece.copies === 1) {
    // Either training has diverged, which another worker will confirm, or this one cannot compute.
    piece.copies = 2;
    work.disturbed = true;
  }
  return [];
}

/** Damaged bytes are never used: the sender is told, and the subtree is computed again. */
export function onCorrupt(
  state: CoordinatorState,
  worker: WorkerId,
  name: WorkName,
  node: TreeNode,
  now: number,
): CoordinatorEffect[] {
  const effects: CoordinatorEffect[] = [{ type: "drop", worker, node }, answer(worker, "PARTIAL_CORRUPT", name, node)];
  const piece = wanted(state, worker, name, node);
  if (typeof piece === "string") return effects;
  noteFailure(state, state.members.get(worker)!, now);
  return [...effects, ...assignToAnother(state, piece, worker, now)];
}

/** The sums of the open work, which trusted, cannot be used: whoever is to blame has failed. */
export function onSpoiled(state: CoordinatorState, by: readonly WorkerId[], now: number): CoordinatorEffect[] {
  const work = state.work!;
  const effects = [...new Set(by)].flatMap((worker): CoordinatorEffect[] => {
    const member = state.members.get(worker);
    // It may be gone: what it had left is kept until the work is over.
    if (member !== undefined) noteFailure(state, member, now);
    const name = member?.name ?? worker;
    const sentence = `the sum that worker ${name} left in shared memory for step ${work.name.step + 1} is damaged: the step begins anew, and the worker rests a while`;
    return sayHowOften(state, "PARTIAL_CORRUPT", name, sentence);
  });
  if (by.length === 0) {
    const sentence = `the sums of step ${work.name.step + 1}, or the parameters they lead to, are not all finite: the step begins anew, and each worker's is looked at`;
    effects.push(...sayHowOften(state, "LOSS_NOT_FINITE", "", sentence));
  }
  // It is opened again, and every partial looked at before it is added to others.
  state.distrusted = work.name.step;
  state.work = undefined;
  return effects;
}

/** A machine that is about to break may spoil every step for days: the first few are told, and then the tenth, the hundredth, … */
function sayHowOften(
  { spoilings }: CoordinatorState,
  code: "PARTIAL_CORRUPT" | "LOSS_NOT_FINITE",
  by: string,
  sentence: string,
): CoordinatorEffect[] {
  const key = `${code} ${by}`;
  const count = (spoilings.get(key) ?? 0) + 1;
  // Set anew, it is the youngest of the map.
  spoilings.delete(key);
  spoilings.set(key, count);
  if (spoilings.size > MOST_SPOILINGS) spoilings.delete(spoilings.keys().next().value!);
  if (count > EACH_TOLD && !/^10+$/.test(String(count))) return [];
  const next = count === EACH_TOLD ? 10 : 10 * count;
  const summary = count < EACH_TOLD ? "" : ` (it has happened ${count} times, and is told again the ${next}th time)`;
  return [{ type: "notify", event: { type: "warning", code, message: `${sentence}${summary}` } }];
}
