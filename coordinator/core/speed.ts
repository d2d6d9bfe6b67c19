/** How fast each worker computes, measured as it works, and what share of the shards that earns it. Decides time, never bits. */
import { planRanges } from "../../shared/gradient/plan.ts";
import type { ShardRange } from "../../shared/gradient/plan.ts";
import { maximalSubtrees } from "../../shared/gradient/tree.ts";
import type { Member, Work } from "./state.ts";

/** New measurements count for a 32nd at most, so that a share follows the machine and not its hiccups. */
const SMOOTHING = 1 / 32;
/**
 * Microseconds of computing before a worker's speed counts, and over which it is a mean where steps are short. A hiccup in the first
 * steps could cost it every shard; and uneven shares are mostly several partials, so whoever has got them without need computes less
 * at a time and confirms them.
 */
const ENOUGH = 1_000_000;
/**
 * Milliseconds of a step for each partial of a worker, besides computing its samples: the turns of the threads that it passes. Chosen
 * low: with 8 shards shared 5 to 3, which is one partial more for each of two workers, 784-64-10 took 0.4 to 0.8 ms more a step on two
 * cores. What a partial costs by its length, where networks are large and links slow, is not counted.
 */
const PARTIAL = 0.2;
/** Shares differ from those by threads only if a step is expected to take this many times as long with those: speeds are not sure. */
const WORTHWHILE = 1.15;

/** A worker so slow that it earned no shard is given one after this long, in milliseconds, to be measured again. */
const TRY_AGAIN_AFTER = 60_000;

/** A worker's sum over so many shards was used, for which it computed so long. */
export function noteDelivered(member: Member, shards: number, microseconds: number): void {
  member.effort.shards += shards;
  member.effort.microseconds += microseconds;
}

/** The work is done: every worker's speed, in samples a millisecond, follows what it did for it. */
export function updateSpeeds(members: Iterable<Member>, work: Work, now: number): void {
  const samplesInShard = work.samples / work.shards;
  for (const member of members) {
    const { shards, microseconds } = member.effort;
    member.effort = { shards: 0, microseconds: 0 };
    // An evaluation computes less for a sample.
    if (work.name.kind !== "train") continue;
    if (shards === 0) {
      member.idleSince ??= now;
      continue;
    }
    if (member.isCold) {
      // Its share would be so small that it is never measured again.
      member.isCold = false;
      continue;
    }
    const samples = shards * samplesInShard;
    if (member.speed === undefined) {
      const { trial } = member;
      trial.samples += samples;
      trial.microseconds += microseconds;
      if (trial.microseconds >= ENOUGH) member.speed = (1000 * trial.samples) / trial.microseconds;
      continue;
    }
    const speed = (1000 * samples) / microseconds;
    // What it was before it stood by says little about a machine that may have been busy with something else.
    const isAnew = isTried(member, now);
    member.idleSince = undefined;
    member.speed = isAnew ? speed : member.speed + Math.min(SMOOTHING, microseconds / ENOUGH) * (speed - member.speed);
  }
}

/** How the shards of some work are shared out: by measured speed where it pays, else by threads. */
export function sharesOf(
  members: readonly Member[],
  { samples, shards }: Pick<Work, "samples" | "shards">,
  now: number,
): ShardRange[] {
  const even = planRanges(
    shards,
    members.map(({ threads }) => threads),
  );
  const speeds = members.map(({ speed }) => speed ?? 0);
  if (members.length === 1 || speeds.includes(0)) return even;
  const bySpeed = planRanges(shards, weightsOf(members, speeds, shards, now));
  // Who stood by did so for its speed, and what that is now is to be found out.
  if (members.some((member) => isTried(member, now))) return bySpeed;
  const expected = (ranges: readonly ShardRange[]): number =>
    Math.max(
      ...ranges.map(({ start, end }, index) => {
        const computing = ((samples / shards) * (end - start)) / speeds[index]!;
        return computing + PARTIAL * maximalSubtrees(shards, start, end).length;
      }),
    );
  return expected(even) < WORTHWHILE * expected(bySpeed) ? even : bySpeed;
}

/** Whether a worker that earned no shard has stood by for so long that it is given one to be measured again. */
export const isTried = ({ idleSince = Infinity }: Member, now: number): boolean => now - idleSince >= TRY_AGAIN_AFTER;

/** Every worker's speed; of one that is tried again, so much that it is given a shard. */
function weightsOf(members: readonly Member[], speeds: readonly number[], shards: number, now: number): number[] {
  const all = speeds.reduce((sum, speed) => sum + speed, 0);
  const fastest = Math.max(...speeds);
  return members.map((member, index) => {
    const speed = speeds[index]!;
    const oneShard = (all - speed) / (shards - 1);
    return isTried(member, now) ? Math.max(speed, Math.min(fastest, oneShard)) : speed;
  });
}
