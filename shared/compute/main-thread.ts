/**
 * Computes on the thread of the socket, where a step is so little work (see light.ts) that handing it to another thread and back
 * takes longer than the socket can wait for it. Waiting for parameters blocks nothing: they come over this thread's socket.
 */
import { setImmediate } from "node:timers/promises";
import { onnxRuntimeEngine } from "../engine/onnxruntime.ts";
import { TaskRunner } from "./runner.ts";
import type { Wait } from "./runner.ts";
import type { StartThreads } from "./threads.ts";

export const onMainThread: StartThreads = (setup, onProgress) => {
  let waiting: (() => void)[] = [];
  const wait: Wait = () => new Promise((goOn) => waiting.push(goOn));
  const runner = new TaskRunner(setup, onnxRuntimeEngine(), onProgress, wait);
  let last: Promise<unknown> = Promise.resolve();
  return {
    run(tasks) {
      const results = last.then(() => runner.run(tasks));
      // Between two series the socket has its turn.
      last = results.then(
        () => setImmediate(),
        () => {},
      );
      return results;
    },
    wake() {
      const woken = waiting;
      waiting = [];
      for (const goOn of woken) goOn();
    },
    async close() {
      await last;
      runner.close();
    },
  };
};
