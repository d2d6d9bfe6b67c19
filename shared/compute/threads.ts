/** What runs compute tasks: piscina's threads, or in tests something else. */
import { extname } from "node:path";
import { Piscina } from "piscina";
import { Signal } from "../memory/signal.ts";
import type { ComputeResult, ComputeTask, ThreadSetup } from "./task.ts";

/** Series of tasks that a thread is given at a time: one waits behind the one it runs. */
export const SERIES_PER_THREAD = 2;

/** Runs series of tasks, one a thread at a time, in the order they come. */
export interface Threads {
  /**
   * Runs tasks one after the other. What is announced is nobody's to wait for; whatever else becomes of a task that is not over
   * ends the series: there are as many results as tasks were looked at.
   */
  run(tasks: readonly ComputeTask[]): Promise<ComputeResult[]>;
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
    const pool = new Piscina<readonly ComputeTask[], ComputeResult[]>({
      // The file beside this one: .ts in development, .js in the package.
      filename: new URL(`./thread${extname(import.meta.url)}`, import.meta.url).href,
      minThreads: threads,
      maxThreads: threads,
      concurrentTasksPerWorker: SERIES_PER_THREAD,
      workerData: setup,
    });
    const arrivals = new Signal(setup.memory, setup.arrivals);
    return { run: (tasks) => pool.run(tasks), wake: () => arrivals.wake(), close: () => pool.close() };
  };
