/**
 * Threads of piscina's, which are ended once nothing runs on them. Its own `close` waits for the first of several threads to be
 * done (5.3.2 counts one task as many) and for 30 seconds at most, then terminates the others: inside the engine, or while they
 * load what calls it, that aborts the process, and anywhere else their tasks fail.
 */
import { once } from "node:events";
import { extname } from "node:path";
import { Piscina } from "piscina";

interface ThreadPoolOptions {
  /** What each thread loads and whose default export it calls. */
  readonly file: string;
  readonly threads: number;
  /** Tasks that a thread is given at a time; all others wait in the pool. */
  readonly tasksPerThread?: number;
  /** What each thread finds as piscina's `workerData`. */
  readonly workerData?: unknown;
  /** Is given what a thread posts to its `parentPort`, before or after the result of its task. */
  readonly onMessage?: (message: unknown) => void;
}

/** The file of a thread, beside the one that starts it: .ts in development, .js in the package. */
export const threadFile = (beside: string, name: string): string => new URL(`./${name}${extname(beside)}`, beside).href;

export class ThreadPool<Task, Result> {
  readonly #pool: Piscina<Task, Result>;
  readonly #running = new Set<Promise<Result>>();
  /** Settled when each thread has loaded its file, or has ended: piscina takes them for ready before, and is told by their first message. */
  readonly #loaded: Promise<unknown>;

  constructor({ file, threads, tasksPerThread = 1, workerData, onMessage }: ThreadPoolOptions) {
    this.#pool = new Piscina<Task, Result>({
      filename: file,
      minThreads: threads,
      maxThreads: threads,
      concurrentTasksPerWorker: tasksPerThread,
      workerData,
    });
    this.#loaded = Promise.allSettled(
      this.#pool.threads.map((thread) => Promise.race([once(thread, "message"), once(thread, "exit")])),
    );
    if (onMessage !== undefined) this.#pool.on("message", onMessage);
  }

  /** Tasks that no thread has been given yet. */
  get waiting(): number {
    return this.#pool.queueSize;
  }

  /** @param transfer buffers that are moved to the thread instead of copied */
  async run(task: Task, transfer: readonly ArrayBuffer[] = []): Promise<Result> {
    const result = this.#pool.run(task, { transferList: [...transfer] });
    this.#running.add(result);
    try {
      return await result;
    } finally {
      this.#running.delete(result);
    }
  }

  /** Waits for all tasks and for threads that are starting, then ends them. */
  async close(): Promise<void> {
    await Promise.allSettled([this.#loaded, ...this.#running]);
    await this.#pool.close();
  }
}
