/** What runs compute tasks: piscina's threads, or in tests something else. */
import { extname } from "node:path";
import { Piscina } from "piscina";
import { Signal } from "../memory/signal.ts";
import type { ComputeResult, ComputeTask, ThreadSetup } from "./task.ts";

/** Tasks that a thread is given at a time: one waits behind the one it runs. */
export const TASKS_PER_THREAD = 2;

/** Runs tasks, one a thread at a time, in the order they come. */
export interface Threads {
  run(task: ComputeTask): Promise<ComputeResult>;
  /** What waiting tasks look at has changed by other means than the signal of arrived parameters. */
  wake(): void;
  /** Waits for the tasks that are running, then ends the threads. */
  close(): Promise<void>;
}

export type StartThreads = (setup: ThreadSetup) => Threads;

/** Threads of piscina's, each with an engine of its own. */
export const piscinaThreads =
  (threads: number): StartThreads =>
  (setup) => {
    const pool = new Piscina<ComputeTask, ComputeResult>({
      // The file beside this one: .ts in development, .js in the package.
      filename: new URL(`./thread${extname(import.meta.url)}`, import.meta.url).href,
      minThreads: threads,
      maxThreads: threads,
      concurrentTasksPerWorker: TASKS_PER_THREAD,
      workerData: setup,
    });
    const arrivals = new Signal(setup.memory, setup.arrivals);
    return { run: (task) => pool.run(task), wake: () => arrivals.wake(), close: () => pool.close() };
  };
