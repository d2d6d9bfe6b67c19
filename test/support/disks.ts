/**
 * Real disks that fail, for tests on Linux: a small one that can be filled up and made read-only, and system calls of a running
 * process that fail. What this system does not allow is said as a sentence, for the names of tests that are skipped.
 */
import { execFile, execFileSync, spawn, spawnSync } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmdirSync } from "node:fs";
import { mkdtemp, open, rm, rmdir, stat, truncate } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";
import { finished } from "./lockstep-process.ts";
import type { Finished } from "./lockstep-process.ts";

const [mount, umount, strace] = ["mount", "umount", "strace"];
const tmpfs = (folder: string, options = "size=1m"): string[] => [
  "-t",
  "tmpfs",
  "-o",
  options,
  "lockstep-test",
  folder,
];

/** The reason in what a command said, without names that differ each time. */
const reasonIn = (said: string): string => said.trim().replace(/\n.*/s, "").replace(/.*: /, "");

/** Why this system mounts no disk for a test; undefined where it does. */
export const cannotMount = ((): string | undefined => {
  if (process.platform !== "linux") return "only Linux has tmpfs";
  const folder = mkdtempSync(join(tmpdir(), "lockstep-mount-"));
  try {
    const { status, error, stderr } = spawnSync(mount, tmpfs(folder), { encoding: "utf8" });
    if (status !== 0) return `no mount: ${reasonIn(String(error ?? stderr))}`;
    execFileSync(umount, [folder]);
    return undefined;
  } finally {
    rmdirSync(folder);
  }
})();

/** Root may write everywhere, unless it gives its privileges up. */
const withoutPrivileges = (program: string, args: readonly string[]): [string, string[]] =>
  process.getuid?.() === 0
    ? ["setpriv", ["--bounding-set=-all", "--inh-caps=-all", program, ...args]]
    : [program, [...args]];

/** Why this system runs nothing that permissions of files hold for; undefined where it does. */
export const cannotDrop = ((): string | undefined => {
  if (process.platform === "win32") return "no permissions";
  const { status, error, stderr } = spawnSync(...withoutPrivileges("true", []), { encoding: "utf8" });
  return status === 0 ? undefined : `no setpriv: ${reasonIn(String(error ?? stderr))}`;
})();

/** `lockstep ARGS` by somebody for whom permissions of files hold. */
export function unprivileged(args: readonly string[]): Promise<Finished> {
  const main = fileURLToPath(new URL("../../coordinator/cli/main.ts", import.meta.url));
  return new Promise((resolve) => {
    const child = execFile(...withoutPrivileges(process.execPath, [main, ...args]), (_, stdout, stderr) =>
      resolve(finished(child.exitCode, stdout, stderr)),
    );
  });
}

/** A file system of a given size in memory, which is gone when the running test ends. */
export class SmallDisk {
  readonly folder: string;
  readonly #filler: string;

  private constructor(folder: string) {
    this.folder = folder;
    this.#filler = join(folder, "filler");
  }

  static async mount(bytes: number): Promise<SmallDisk> {
    const folder = await mkdtemp(join(tmpdir(), "lockstep-disk-"));
    execFileSync(mount, tmpfs(folder, `size=${bytes}`));
    onTestFinished(async () => {
      // Lazily: a killed process may still hold a file.
      execFileSync(umount, ["--lazy", folder]);
      await rmdir(folder);
    });
    return new SmallDisk(folder);
  }

  /** Leaves room for so many bytes and no more. */
  async fill(left = 0): Promise<void> {
    const file = await open(this.#filler, "w");
    try {
      for (;;) await file.write(Buffer.alloc(4096));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
    } finally {
      await file.close();
    }
    const { size } = await stat(this.#filler);
    await truncate(this.#filler, size - left);
  }

  /** Gives the room back. */
  free(): Promise<void> {
    return rm(this.#filler);
  }

  /** Lets nobody write any more; false, and nothing done, where a file is open for writing at this moment. */
  makeReadOnly(): boolean {
    const { status, stderr } = spawnSync(mount, ["-o", "remount,ro", this.folder], { encoding: "utf8" });
    if (status !== 0 && !stderr.includes("busy")) throw new Error(stderr);
    return status === 0;
  }

  makeWritable(): void {
    execFileSync(mount, ["-o", "remount,rw", this.folder]);
  }
}

/** What fails, as strace's --inject has it. */
export interface Fault {
  readonly call: "fsync" | "fdatasync" | "/^rename";
  readonly error: string;
  /** Only calls on this file; all, where left out. */
  readonly path?: string;
}

/** Makes these threads' calls fail until the returned function is called. Rejects with what strace says. */
async function attach(threads: readonly number[], { call, error, path }: Fault): Promise<() => Promise<void>> {
  const where = path === undefined ? [] : ["-P", path];
  const which = threads.flatMap((thread) => ["-p", `${thread}`]);
  const tracer = spawn(strace, [...where, "-o", "/dev/null", `--inject=${call}:error=${error}`, ...which]);
  let said = "";
  const attached = Promise.withResolvers<void>();
  tracer.stderr.on("data", (text: Buffer) => {
    said += text.toString();
    if (said.split(" attached").length > threads.length) attached.resolve();
  });
  tracer.once("error", attached.reject);
  const ended = new Promise<void>((resolve) => tracer.once("close", () => resolve()));
  void ended.then(() => attached.reject(new Error(said)));
  await attached.promise;
  return async () => {
    tracer.kill("SIGINT");
    await ended;
  };
}

/** Those of a process's threads on which Node calls the disk asynchronously. There are none before its first such call. */
function poolOf(pid: number): number[] {
  const tasks = `/proc/${pid}/task`;
  const nameOf = (thread: string): string => readFileSync(join(tasks, thread, "comm"), "utf8").trim();
  return readdirSync(tasks)
    .filter((thread) => nameOf(thread) === "libuv-worker")
    .map(Number);
}

/**
 * Makes the calls fail that a running process of Node makes on its pool's threads, until the returned function is called or the
 * test ends. strace stops a thread at each of its calls, whatever they are, and a step makes many: where other processes want
 * the processors too, a run of which all threads are traced takes ten steps a second.
 */
export async function inject(pid: number, fault: Fault): Promise<() => Promise<void>> {
  const pool = poolOf(pid);
  if (pool.length === 0) throw new Error(`process ${pid} has no thread of the name libuv-worker`);
  const release = await attach(pool, fault);
  onTestFinished(release);
  return release;
}

/** Stops a process, and resolves when none of its threads runs any more: the one that is to stop the others must get a processor first. */
export async function freeze({ pid }: ChildProcess): Promise<void> {
  process.kill(pid!, "SIGSTOP");
  while (!isFrozen(pid!)) await delay(1);
}

/** A thread under strace stops at each call too: it has stopped for good where strace has nothing left to do. */
function isFrozen(pid: number): boolean {
  const tasks = `/proc/${pid}/task`;
  return readdirSync(tasks).every((thread) => {
    const { state, tracer } = statusOf(join(tasks, thread));
    return state === "T" || (state === "t" && statusOf(`/proc/${tracer}`).state === "S");
  });
}

function statusOf(task: string): { state: string; tracer: string } {
  const text = readFileSync(join(task, "status"), "utf8");
  const [, state, tracer] = /^State:\s*(\S).*^TracerPid:\s*(\d+)/ms.exec(text)!;
  return { state: state!, tracer: tracer! };
}

/** Why this system lets no test make another process's system calls fail; undefined where it does. */
export const cannotInject = await (async (): Promise<string | undefined> => {
  // It is attached to a process that it did not start, as in a test.
  const other = spawn("sleep", ["60"], { stdio: "ignore" });
  other.on("error", () => {});
  try {
    const release = await attach([other.pid ?? 0], { call: "fsync", error: "EIO" });
    await release();
    return undefined;
  } catch (error) {
    return `no strace: ${reasonIn(String(error))}`;
  } finally {
    other.kill();
  }
})();
