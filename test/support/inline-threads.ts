/** Threads for tests that are none: tasks are computed on the calling thread by the reference evaluator. */
import { TaskRunner } from "../../shared/compute/runner.ts";
import type { Pace } from "../../shared/compute/runner.ts";
import { goesOn, readiness } from "../../shared/compute/task.ts";
import type { ComputeResult, ComputeTask, Progress, ThreadSetup } from "../../shared/compute/task.ts";
import type { Threads } from "../../shared/compute/threads.ts";
import { referenceEngine } from "../../shared/engine/reference.ts";
import { Signal } from "../../shared/memory/signal.ts";

/** For tasks that are ready when they are given, on a thread that has nothing else to do. */
export const neverWaits: Pace = {
  wait: () => {
    throw new Error("a task that was ready waits for parameters");
  },
  giveWay: () => {},
};

/** As a thread sees it in its worker's memory. */
export function readinessIn(
  { memory, arrivals, interrupts }: ThreadSetup,
  task: ComputeTask,
): ReturnType<typeof readiness> {
  const count = Atomics.load(new Int32Array(memory.buffer, interrupts, 1), 0);
  return readiness(task, new Signal(memory, arrivals).value, count);
}

type Found = Exclude<ReturnType<typeof readiness>, "waiting">;

/** A thread would block until a task need not wait any more; here it is held until then. */
export function inlineThreads(setup: ThreadSetup, onProgress: (progress: Progress) => void): Threads {
  const runner = new TaskRunner(setup, referenceEngine("float32"), onProgress, neverWaits);
  let closed = false;
  let held: { readonly task: ComputeTask; readonly start: (found: Found) => void }[] = [];
  const wake = (): void => {
    for (const each of held) {
      const found = closed ? "waiting" : readinessIn(setup, each.task);
      if (found === "waiting") continue;
      held = held.filter((other) => other !== each);
      each.start(found);
    }
  };
  const one = (task: ComputeTask): Promise<ComputeResult> =>
    new Promise((resolve, reject) => {
      held.push({
        task,
        start: (found) => {
          // It must not wait again behind the one before it: nobody else could run meanwhile.
          if (found === "ready") {
            runner.run([{ ...task, awaits: undefined }]).then(([result]) => resolve(result!), reject);
          } else resolve(found);
        },
      });
      wake();
    });
  return {
    run: async (tasks) => {
      const results: ComputeResult[] = [];
      for (const task of tasks) {
        const result = await one(task);
        results.push(result);
        if (!goesOn(result)) break;
      }
      return results;
    },
    wake,
    async close() {
      // Whoever leaves or is killed computes nothing any more in memory that it gives back.
      closed = true;
      await runner.close();
    },
  };
}
