/** How fast each worker computes, measured as it works, and what share of the shards that earns it. Decides time, never bits. */
import type { Member, Work } from "./state.ts";

/** New measurements count for a 32nd, so that a share follows the machine and not its hiccups. */
const SMOOTHING = 1 / 32;
/**
 * Microseconds of computing before a worker's speed counts. A hiccup in the first steps could cost it every shard; and uneven shares
 * are mostly several partials, so whoever has got them without need computes less at a time and confirms them.
 */
const ENOUGH = 1_000_000;
/** Shares differ from equal ones only if the fastest is this many times as fast as the slowest: moving shards has a cost. */
const WORTHWHILE = 1.4;

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
    if (shards === 0) member.idleSince ??= now;
    if (shards === 0 || microseconds === 0) continue;
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
    const isAnew = member.idleSince !== undefined && now - member.idleSince >= TRY_AGAIN_AFTER;
    member.idleSince = undefined;
    member.speed = isAnew ? speed : member.speed + SMOOTHING * (speed - member.speed);
  }
}

/** The weights by which so many shards are shared out: by measured speed where it pays, else by threads. */
export function weightsOf(members: readonly Member[], shards: number, now: number): number[] {
  const speeds = members.map(({ speed }) => speed ?? 0);
  const slowest = Math.min(...speeds);
  const perThread = members.map(({ speed, threads }) => (speed ?? 0) / threads);
  const isEven = Math.max(...perThread) < WORTHWHILE * Math.min(...perThread);
  if (slowest === 0 || isEven) return members.map(({ threads }) => threads);
  const all = speeds.reduce((sum, speed) => sum + speed, 0);
  const fastest = Math.max(...speeds);
  return members.map(({ idleSince = now }, index) => {
    const speed = speeds[index]!;
    const oneShard = (all - speed) / (shards - 1);
    return now - idleSince < TRY_AGAIN_AFTER ? speed : Math.max(speed, Math.min(fastest, oneShard));
  });
}
