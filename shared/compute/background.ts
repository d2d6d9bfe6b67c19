/** Which threads of a worker let others go first when they are woken, and take as much of a processor's time as others otherwise. */
import { operatingSystem } from "../system.ts";
import type { StartThreads } from "./threads.ts";

const SCHED_OTHER = 0;
/** A thread that is woken waits until the processor is free or its turn has come (Linux). */
const SCHED_BATCH = 3;

/** Changes how this thread is scheduled, if it is as `from` says: an operator may have chosen otherwise. Whether it could. */
function reschedule(from: number, to: number): boolean {
  const system = operatingSystem();
  return system?.sched_getscheduler(0) === from && system.sched_setscheduler(0, to, Int32Array.of(0)) === 0;
}

/**
 * As long as these threads are there, this one, which has the socket, is in the background. Whoever sends to it may be on its
 * processor, still have others to send to, and parameters to compute.
 */
export const inBackground =
  (start: StartThreads): StartThreads =>
  (setup, onProgress) => {
    // First: a thread is scheduled as the one that started it.
    const threads = start(setup, onProgress);
    const isRescheduled = reschedule(SCHED_OTHER, SCHED_BATCH);
    return {
      ...threads,
      async close() {
        try {
          await threads.close();
        } finally {
          if (isRescheduled) reschedule(SCHED_BATCH, SCHED_OTHER);
        }
      },
    };
  };
