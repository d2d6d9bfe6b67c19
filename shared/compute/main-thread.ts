/**
 * Computes on the thread of the socket, where another thread would gain nothing (see which-thread.ts): handing over and back costs more than
 * it gains, or both would wait for the same processor. Waiting for parameters blocks nothing, since they come over this
 * thread's socket; and before each call of the engine the socket has its turn.
 */
import { setImmediate } from "node:timers/promises";
import { onnxRuntimeEngine } from "../engine/onnxruntime.ts";
import { operatingSystem } from "../memory/system.ts";
import { TaskRunner } from "./runner.ts";
import type { StartThreads } from "./threads.ts";

const SCHED_OTHER = 0;
/** A thread that is woken waits until the processor is free or its turn has come; it gets as much time as others (Linux). */
const SCHED_BATCH = 3;

/** Changes how this thread is scheduled, if it is as `from` says: an operator may have chosen otherwise. Whether it could. */
function reschedule(from: number, to: number): boolean {
  const system = operatingSystem();
  return system?.sched_getscheduler(0) === from && system.sched_setscheduler(0, to, Int32Array.of(0)) === 0;
}

export const onMainThread: StartThreads = (setup, onProgress) => {
  let waiting: (() => void)[] = [];
  const runner = new TaskRunner(setup, onnxRuntimeEngine(), onProgress, {
    wait: () => new Promise((goOn) => waiting.push(goOn)),
    giveWay: () => setImmediate(),
  });
  // Woken by parameters, it would compute first on the processor on which the coordinator is still sending them to other workers.
  const isRescheduled = reschedule(SCHED_OTHER, SCHED_BATCH);
  return {
    run: (tasks) => runner.run(tasks),
    wake() {
      const woken = waiting;
      waiting = [];
      for (const goOn of woken) goOn();
    },
    async close() {
      await runner.close();
      if (isRescheduled) reschedule(SCHED_BATCH, SCHED_OTHER);
    },
  };
};
