/**
 * How a thread that computes is scheduled. Woken by parameters, it would take the processor from the coordinator that is still sending
 * them to other workers: on two cores 7 % of these sends took over a millisecond instead of a tenth (docs/decisions.md).
 */
import { operatingSystem } from "../memory/system.ts";

const SCHED_BATCH = 3;

/**
 * From now on this thread, when it is woken, waits until the processor is free or its turn has come, with as much time as others; so
 * do threads that it starts. Linux only, and where the system refuses it goes on as before.
 */
export function computeInBackground(): void {
  operatingSystem()?.sched_setscheduler(0, SCHED_BATCH, Int32Array.of(0));
}
