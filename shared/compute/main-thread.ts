/**
 * Computes on the thread of the socket, where another thread would gain nothing (see which-thread.ts): handing over and back costs more than
 * it gains, or both would wait for the same processor. Waiting for parameters blocks nothing, since they come over this
 * thread's socket; and before each call of the engine the socket has its turn.
 */
import { setImmediate } from "node:timers/promises";
import { onnxRuntimeEngine } from "../engine/onnxruntime.ts";
import { TaskRunner } from "./runner.ts";
import type { StartThreads } from "./threads.ts";

export const onMainThread: StartThreads = (setup, onProgress) => {
  let waiting: (() => void)[] = [];
  const runner = new TaskRunner(setup, onnxRuntimeEngine(), onProgress, {
    wait: () => new Promise((goOn) => waiting.push(goOn)),
    giveWay: () => setImmediate(),
  });
  return {
    run: (tasks) => runner.run(tasks),
    wake() {
      const woken = waiting;
      waiting = [];
      for (const goOn of woken) goOn();
    },
    close: () => runner.close(),
  };
};
