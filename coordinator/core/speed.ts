/** How fast each worker computes, measured as it works, and what share of the shards that earns it. Decides time, never bits. */
import type { Member, Work } from "./state.ts";

/** New measurements count for a 32nd, so that a share follows the machine and not its hiccups. */
const SMOOTHING = 1 / 32;
/** Shares differ from equal ones only if the fastest is this many times as fast as the slowest: moving shards has a cost. */
const WORTHWHILE = 1.4;

/** A worker's sum over so many shards was used, for which it computed so long. */
export function noteDelivered(member: Member, shards: number, microseconds: number): void {
  member.effort.shards += shards;
  member.effort.microseconds += microseconds;
}

/** The work is done: every worker's speed, in samples a millisecond, follows what it did for it. */
export function updateSpeeds(members: Iterable<Member>, work: Work): void {
  const samplesInShard = work.samples / work.shards;
  for (const member of members) {
    const { shards, microseconds } = member.effort;
    member.effort = { shards: 0, microseconds: 0 };
    // An evaluation computes less for a sample.
    if (work.name.kind !== "train" || shards === 0 || microseconds === 0) continue;
    if (member.isCold) {
      // Its share would be so small that it is never measured again.
      member.isCold = false;
      continue;
    }
    const speed = (1000 * shards * samplesInShard) / microseconds;
    member.speed = member.speed === undefined ? speed : member.speed + SMOOTHING * (speed - member.speed);
  }
}

/** The weights by which shards are shared out: by measured speed where it pays, else by threads. */
export function weightsOf(members: readonly Member[]): number[] {
  const speeds = members.map(({ speed }) => speed ?? 0);
  const slowest = Math.min(...speeds);
  const perThread = members.map(({ speed, threads }) => (speed ?? 0) / threads);
  const isEven = Math.max(...perThread) < WORTHWHILE * Math.min(...perThread);
  return slowest === 0 || isEven ? members.map(({ threads }) => threads) : speeds;
}
