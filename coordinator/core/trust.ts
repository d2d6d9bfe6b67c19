/**
 * What a worker's failures cost it: time without new work, longer with every failure and shorter with every minute of good
 * behaviour. Nobody is shut out for ever, and nobody at all while there is no other worker.
 */
import type { CoordinatorState, Member } from "./state.ts";

/** A failure counts half as much after this long, in milliseconds. */
const HALF_LIFE = 60_000;
const FIRST_REST = 500;
const LONGEST_REST = 30_000;
/** Names remembered; those that failed longest ago are forgotten first. */
const MOST_NAMES = 1_000;

/** A worker was lost, was late or sent damaged bytes. */
export function noteFailure(state: CoordinatorState, member: Member, now: number): void {
  const { failures } = state;
  const record = failures.get(member.name);
  const faded = record === undefined ? 0 : record.score * 2 ** (-(now - record.at) / HALF_LIFE);
  // Set anew, it is the youngest of the map.
  failures.delete(member.name);
  failures.set(member.name, { score: faded + 1, at: now });
  if (failures.size > MOST_NAMES) failures.delete(failures.keys().next().value!);
  member.restsUntil = restsUntil(state, member.name);
}

/** When a worker of this name may be given work again, counted from its last failure. */
export function restsUntil(state: CoordinatorState, name: string): number {
  const record = state.failures.get(name);
  return record === undefined ? 0 : record.at + Math.min(LONGEST_REST, FIRST_REST * 2 ** (record.score - 1));
}
