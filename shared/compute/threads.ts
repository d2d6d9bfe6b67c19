/** What runs compute tasks: piscina's threads, the thread of the socket (main-thread.ts), or in tests something else. */
import { Signal } from "../memory/signal.ts";
import { threadFile, ThreadPool } from "../thread-pool.ts";
import type { ComputeResult, ComputeTask, Progress, ThreadSetup } from "./task.ts";

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

/** @param onProgress told of tasks that have a ticket, perhaps when they are over */
export type StartThreads = (setup: ThreadSetup, onProgress: (progress: Progress) => void) => Threads;

/** Threads of piscina's, each with an engine of its own. */
export const piscinaThreads =
  (threads: number): StartThreads =>
  (setup, onProgress) => {
    const pool = new ThreadPool<readonly ComputeTask[], ComputeResult[]>({
      file: threadFile(import.meta.url, "thread"),
      threads,
      tasksPerThread: SERIES_PER_THREAD,
      workerData: setup,
      onMessage: (message) => onProgress(message as Progress),
    });
    const arrivals = new Signal(setup.memory, setup.arrivals);
    return { run: (tasks) => pool.run(tasks), wake: () => arrivals.wake(), close: () => pool.close() };
  };
