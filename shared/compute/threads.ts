/** What runs compute tasks: piscina's threads, or in tests something else. */
import { extname } from "node:path";
import { Piscina } from "piscina";
import type { ComputeResult, ComputeTask, ThreadSetup } from "./task.ts";

/** Runs tasks, some at a time. */
export interface Threads {
  run(task: ComputeTask): Promise<ComputeResult>;
  /** Waits for the tasks that are running, then ends the threads. */
  close(): Promise<void>;
}

export type StartThreads = (setup: ThreadSetup) => Threads;

/** Threads of piscina's, each with an engine of its own. */
export const piscinaThreads =
  (threads: number): StartThreads =>
  (setup) =>
    new Piscina<ComputeTask, ComputeResult>({
      // The file beside this one: .ts in development, .js in the package.
      filename: new URL(`./thread${extname(import.meta.url)}`, import.meta.url).href,
      minThreads: threads,
      maxThreads: threads,
      workerData: setup,
    });
