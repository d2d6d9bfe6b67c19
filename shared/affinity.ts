/** Which processors threads may run on (Linux). */
import type { System } from "./system.ts";

/** A bit for each of 8,192 processors, as many as Linux may be built for. */
const MASK_BYTES = 1_024;

/** The processors that a thread may run on; undefined where the system does not say. @param thread its number; 0: the calling one */
export function processorsOf(system: Pick<System, "sched_getaffinity">, thread = 0): number[] | undefined {
  const mask = new Uint8Array(MASK_BYTES);
  if (system.sched_getaffinity(thread, MASK_BYTES, mask) !== 0) return undefined;
  return [...Array(8 * MASK_BYTES).keys()].filter((processor) => mask[processor >> 3]! & (1 << (processor & 7)));
}

/** Keeps a thread to these processors, if the system allows it. @param thread as above */
export function keepTo(system: Pick<System, "sched_setaffinity">, processors: readonly number[], thread = 0): void {
  const mask = new Uint8Array(MASK_BYTES);
  for (const processor of processors) mask[processor >> 3]! |= 1 << (processor & 7);
  system.sched_setaffinity(thread, MASK_BYTES, mask);
}
