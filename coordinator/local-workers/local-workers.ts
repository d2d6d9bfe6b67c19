/**
 * The worker processes that `train` starts on this machine. One that dies is started again after a pause; one that keeps
 * dying at once makes the run end with what it said last.
 */
import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { extname } from "node:path";
import { LockstepError } from "../../shared/errors.ts";
import { withHugePages } from "../../shared/memory/huge-pages.ts";
import type { JoinToken } from "../../shared/protocol/handshake.ts";
import { TOKEN_VARIABLE } from "../../shared/token.ts";
import { processorsFor, startOn } from "./processors.ts";

/** A worker that lived this long was not failing to start; its count of failures begins anew. */
const HEALTHY_AFTER = 10_000;
const MOST_FAILURES = 4;
const FIRST_PAUSE = 500;
/** How long workers may take to leave once their run is over, in milliseconds. */
const LEAVE_WITHIN = 5_000;

export interface LocalWorkers {
  /** Waits for the workers to end with their run; what does not end by itself is killed. */
  close(): Promise<void>;
  /** One is not started again: it was quarantined. Whether it was the last of them. */
  abandon(name: string): boolean;
}

/** What every local worker is started with. */
interface LocalWorkerOptions {
  readonly url: string;
  readonly token: JoinToken;
  /** Compute threads of each. */
  readonly threads: number;
}

export const localWorkerNames = (count: number): string[] =>
  Array.from({ length: count }, (_, index) => `worker-${index + 1}`);

/**
 * Starts `count` workers.
 * @param onExhausted called once when a worker cannot be kept alive
 */
export function startLocalWorkers(
  { url, token, threads }: LocalWorkerOptions,
  count: number,
  onExhausted: (error: LockstepError) => void,
): LocalWorkers {
  // The file beside this folder: .ts in development, .js in the package.
  const file = new URL(`../../worker/main${extname(import.meta.url)}`, import.meta.url);
  const env = withHugePages(process.env);
  // In the environment, as every user of the machine can read a process's arguments.
  if (!token.isNone) env[TOKEN_VARIABLE] = token.reveal();
  const children = new Set<ChildProcess>();
  const pauses = new Set<NodeJS.Timeout>();
  const abandoned = new Set<string>();
  let closing = false;

  /** @param worker its index */
  const start = (worker: number, failures: number): void => {
    const name = names[worker]!;
    const startedAt = performance.now();
    let lastWords = "";
    /** @param end how it ended */
    const onEnd = (end: string): void => {
      if (closing || abandoned.has(name)) return;
      const failed = performance.now() - startedAt > HEALTHY_AFTER ? 1 : failures + 1;
      if (failed >= MOST_FAILURES) {
        const sentence = `local worker ${name} ended ${failed} times in a row, last ${end}: ${lastWords.trim() || "it said nothing"}`;
        onExhausted(new LockstepError("WORKERS_EXHAUSTED", sentence, "mend that, then continue with --resume"));
        return;
      }
      const pause = setTimeout(
        () => {
          pauses.delete(pause);
          start(worker, failed);
        },
        FIRST_PAUSE * 2 ** (failed - 1),
      );
      pauses.add(pause);
    };
    let child: ChildProcess;
    try {
      child = startOn(
        (all) => processorsFor(worker, { workers: count, threads }, all),
        () =>
          fork(file, [url, "--name", name, "--threads", String(threads)], {
            stdio: ["ignore", "ignore", "pipe", "ipc"],
            env,
          }),
      );
    } catch (error) {
      // As for want of memory: only a few of the system's reasons come as the event below.
      lastWords = error instanceof Error ? error.message : String(error);
      onEnd("before it began");
      return;
    }
    child.on("error", (error) => {
      lastWords = error.message;
    });
    // The system has no process or no files left for it: then it has no pipes either, and nothing but an error follows.
    if (child.pid === undefined) {
      child.once("error", () => onEnd("before it began"));
      return;
    }
    children.add(child);
    child.stderr!.on("data", (text: Buffer) => {
      lastWords = (lastWords + text.toString()).slice(-2_000);
    });
    child.on("close", (code, signal) => {
      children.delete(child);
      onEnd(signal === null ? `with exit code ${code}` : `by ${signal}`);
    });
  };
  const names = localWorkerNames(count);
  names.forEach((_, worker) => start(worker, 0));

  return {
    abandon(name) {
      // It may be one from elsewhere.
      if (!names.includes(name)) return false;
      abandoned.add(name);
      return names.every((each) => abandoned.has(each));
    },
    async close() {
      closing = true;
      for (const pause of pauses) clearTimeout(pause);
      const ended = [...children].map((child) => new Promise((resolve) => child.once("close", resolve)));
      const killer = setTimeout(() => {
        for (const child of children) child.kill("SIGKILL");
      }, LEAVE_WITHIN);
      await Promise.all(ended);
      clearTimeout(killer);
    },
  };
}
