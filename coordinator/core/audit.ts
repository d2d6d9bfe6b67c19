/**
 * Who lied. Sums are the same bit by bit whoever computes them, so a wrong one can be proved: it is computed
 * again by another worker, and where two differ the coordinator's own engine decides if its arithmetic is the run's, else a
 * third worker. Some partials are checked so at random, and each that is not finite.
 */
import { LockstepError } from "../../shared/errors.ts";
import { nodeKey } from "../../shared/gradient/tree.ts";
import type { TreeNode } from "../../shared/gradient/tree.ts";
import type { WorkerId } from "../../shared/ids.ts";
import type { WorkName } from "../../shared/protocol/messages.ts";
import { isSameWork } from "../../shared/protocol/work-name.ts";
import { randomStream } from "../../shared/random.ts";
import type { CoordinatorEffect } from "./events.ts";
import { use } from "./settling.ts";
import type { CoordinatorState, Piece, Work } from "./state.ts";
import { noteFailure } from "./trust.ts";

/** Workers that differ and are remembered; the first are forgotten first, and would be told of again. */
const MOST_SAID = 1_000;

/** Whether a second worker computes this node too. Drawn from a key that the workers don't know. */
export function isAudited({ settings, auditKey }: CoordinatorState, { kind, step }: WorkName, node: TreeNode): boolean {
  if (settings.audit === 0) return false;
  const draw = 2 * node.start + (kind === "train" ? 0 : 1);
  return randomStream(auditKey, "audit", step).uniform(draw) < settings.audit;
}

/** The sums of several workers over one node are compared. */
export function onCompared(
  state: CoordinatorState,
  name: WorkName,
  node: TreeNode,
  groups: readonly (readonly WorkerId[])[],
  now: number,
): CoordinatorEffect[] {
  const found = find(state, name, node);
  if (found === undefined) return [];
  const { work, piece } = found;
  const [largest, second] = groups.toSorted((left, right) => right.length - left.length);
  if (largest === undefined) return [];
  if (second === undefined) return agreed(state, work, piece, largest[0]!);
  if (!state.settings.exact) return [...differ(state, work, piece, now), ...use(work, piece, largest[0]!)];
  if (largest.length > second.length) return quarantine(state, work, piece, largest);
  piece.disputed = true;
  if (piece.judge === "idle") {
    piece.judge = "asked";
    return [...disputed(state, work, piece), { type: "judge", work, node }];
  }
  return piece.judge === "unable" ? askAnother(state, work, piece) : [];
}

/** The coordinator's own engine has computed a node, or cannot say what is right. */
export function onJudged(
  state: CoordinatorState,
  name: WorkName,
  node: TreeNode,
  right: readonly WorkerId[] | undefined,
): CoordinatorEffect[] {
  const found = find(state, name, node);
  if (found?.piece.judge !== "asked") return [];
  const { work, piece } = found;
  if (right === undefined) {
    piece.judge = "unable";
    return piece.held.length > 1 ? askAnother(state, work, piece) : [];
  }
  piece.judge = "idle";
  const honest = piece.held.filter((worker) => right.includes(worker));
  if (honest.length < piece.held.length) return quarantine(state, work, piece, honest);
  return honest.length > 0 ? agreed(state, work, piece, honest[0]!) : [];
}

/** The open piece that is meant; undefined if there is none any more. */
function find({ work }: CoordinatorState, name: WorkName, node: TreeNode): { work: Work; piece: Piece } | undefined {
  if (work === undefined || !isSameWork(work.name, name)) return undefined;
  const piece = work.pieces.get(nodeKey(node));
  return piece?.done === false ? { work, piece } : undefined;
}

function agreed(state: CoordinatorState, work: Work, piece: Piece, worker: WorkerId): CoordinatorEffect[] {
  state.audits += 1;
  return use(work, piece, worker);
}

/** One more worker decides; while there is none, the step waits for it. */
function askAnother(state: CoordinatorState, work: Work, piece: Piece): CoordinatorEffect[] {
  piece.copies = piece.held.length + 1;
  piece.waiting = true;
  work.unsettled.add(piece);
  return disputed(state, work, piece, "this coordinator cannot tell which are right, so one more worker has to decide");
}

/**
 * Under `exact: off` workers may differ, in every step if their arithmetic does, so it is said once of the same ones. But if
 * one's sum is finite, whose is not has failed: it rests, or it would have every step begin anew.
 */
function differ(state: CoordinatorState, work: Work, piece: Piece, now: number): CoordinatorEffect[] {
  const { held, notFinite } = piece;
  const names = held.map((worker) => state.members.get(worker)!.name).sort();
  const failed = held.filter((worker) => notFinite.has(worker) && held.some((other) => !notFinite.has(other)));
  for (const worker of failed) noteFailure(state, state.members.get(worker)!, now);
  const failedNames = failed.map((worker) => state.members.get(worker)!.name);
  const { saidToDiffer } = state;
  const key = JSON.stringify([names, failedNames]);
  if (saidToDiffer.has(key)) return [];
  saidToDiffer.add(key);
  if (saidToDiffer.size > MOST_SAID) saidToDiffer.delete(saidToDiffer.values().next().value!);
  const isUsed = failed.length > 0 ? `that of ${failedNames.join(" and ")} is not finite` : "the first is used";
  return disputed(state, work, piece, `under \`exact: off\` ${isUsed}; when it happens again it is not said`);
}

function disputed(
  state: CoordinatorState,
  { name }: Work,
  { held, node }: Piece,
  consequence = "the coordinator computes it too",
): CoordinatorEffect[] {
  const names = held.map((worker) => state.members.get(worker)!.name).join(" and ");
  const message = `workers ${names} sent different bits for shards ${node.start} to ${node.end - 1} of ${name.kind} step ${name.step}: ${consequence}`;
  return [{ type: "notify", event: { type: "warning", code: "PARTIAL_DISPUTED", message } }];
}

/** Whoever sent other bits than the honest is let go, and the work begins anew: what it had sent before may be in the sum. */
function quarantine(
  state: CoordinatorState,
  work: Work,
  { held, node }: Piece,
  honest: readonly WorkerId[],
): CoordinatorEffect[] {
  state.work = undefined;
  const step = work.name.step + (work.name.kind === "train" ? 1 : 0);
  return held
    .filter((worker) => !honest.includes(worker))
    .flatMap((worker): CoordinatorEffect[] => {
      const member = state.members.get(worker)!;
      const { name } = member;
      const since = member.since + 1;
      state.quarantined.set(name, { worker: name, step, since });
      state.members.delete(worker);
      const { code, message, hint } = quarantineError(name, step);
      return [
        { type: "send", worker, message: { type: "refused", code, message, hint } },
        { type: "close", worker },
        { type: "notify", event: { type: "quarantined", worker: name, step, since, shards: [node.start, node.end] } },
      ];
    });
}

/** What a quarantined worker is told, then and whenever it comes back. */
export const quarantineError = (name: string, step: number): LockstepError =>
  new LockstepError(
    "QUARANTINED",
    `worker ${name} sent a wrong gradient for step ${step} of this run: computed again, it has other bits`,
    "check that machine's memory, processor and Lockstep; once mended it may join under another --name",
  );
