/**
 * One coordinator a run folder. Each claims the folder with a file whose name says who it is, then looks for other
 * claims, and withdraws where it sees a living one. As everybody claims before looking, two can never both go on; at worst
 * two that start in the same instant both withdraw. A name is never used by a second process, so the claim of a dead process
 * can be removed without a race. Whether a process lives is asked of the kernel that it ran under (kernel-lock.ts), where that
 * is this one, whatever container it is in; else of its name.
 *
 * A claim may go while its process lives: the folder is removed, or someone took that process for dead. What is there then is
 * another's, so whoever writes asks first whether the claim is still there.
 */

import { access, readdir, readFile, rm } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { errnoOf } from "../../shared/errno.ts";
import { LockstepError } from "../../shared/errors.ts";
import { onDisk } from "./disk.ts";
import { holdFile, isHeld } from "./kernel-lock.ts";

/** Who claims: process ids are used again, so the process's start time belongs to it. */
interface Claim {
  readonly host: string;
  readonly pid: number;
  readonly start: string;
}

/** Claims that this process has given back, of which a failing disk kept the file. */
const leftBehind = new Set<string>();

/** A folder that this process has locked. */
export interface RunLock {
  /** Throws DISK_FAILED where the folder has the claim no longer, and may be another run's by now. */
  readonly check: () => Promise<void>;
  readonly release: () => Promise<void>;
}

/** Locks `folder` until it is given back or this process ends. Throws RUN_LOCKED. */
export async function lockRun(folder: string): Promise<RunLock> {
  const own = fileName({ host: hostname(), pid: process.pid, start: await ownStart() });
  const path = join(folder, own);
  const claimed = await claimIn(folder, own);
  // What cannot be removed is soon a dead process's claim: no reason for a run to fail at its end.
  const release = async (): Promise<void> => {
    await rm(path, { force: true }).catch(() => void leftBehind.add(path));
    await claimed.release();
  };
  try {
    await refuseOthers(folder, own);
  } catch (error) {
    await release();
    throw error;
  }
  return { check: () => checkClaim(folder, own), release };
}

/** Claims the folder: with a file of its own, or with the one that it has left there. */
async function claimIn(folder: string, own: string): Promise<{ release: () => Promise<void> }> {
  const path = join(folder, own);
  const hold = (flags: "wx" | "r+"): ReturnType<typeof holdFile> => onDisk(path, () => holdFile(path, flags));
  // At once: whoever comes meanwhile must not take the same file.
  const isLeft = leftBehind.delete(path);
  try {
    return await hold("wx").catch((error: unknown) => {
      if (!(error instanceof LockstepError) || errnoOf(error.cause) !== "EEXIST") throw error;
      if (!isLeft) throw locked(folder, own);
      return hold("r+");
    });
  } catch (error) {
    if (isLeft) leftBehind.add(path);
    throw error;
  }
}

/** Removes the claims of dead processes. Throws RUN_LOCKED where another one lives. */
async function refuseOthers(folder: string, own: string): Promise<void> {
  for (const name of await onDisk(folder, () => readdir(folder))) {
    const claim = parse(name);
    if (claim === undefined || name === own) continue;
    const path = join(folder, name);
    const held = await isHeld(path);
    if (held ?? (await isAlive(claim))) throw locked(folder, name, held);
    await onDisk(path, () => rm(path, { force: true }));
  }
}

async function checkClaim(folder: string, own: string): Promise<void> {
  try {
    await access(join(folder, own));
  } catch (cause) {
    // A disk that fails otherwise says so to whoever writes.
    if (errnoOf(cause) !== "ENOENT" && errnoOf(cause) !== "ENOTDIR") return;
    throw new LockstepError(
      "DISK_FAILED",
      `${folder} is no longer this run's: ${own} is gone from it, so nothing is written there`,
      "If the folder was moved, move it back; if another process goes on with the run, stop this one.",
      { cause },
    );
  }
}

/** Whether a coordinator has the folder now. */
export async function isInUse(folder: string): Promise<boolean> {
  for (const name of await onDisk(folder, () => readdir(folder))) {
    const claim = parse(name);
    if (claim !== undefined && ((await isHeld(join(folder, name))) ?? (await isAlive(claim)))) return true;
  }
  return false;
}

/** @param isCertain the kernel itself says that it is in use */
function locked(folder: string, name: string, isCertain = false): LockstepError {
  const { pid, host } = parse(name) ?? { pid: 0, host: "" };
  return new LockstepError(
    "RUN_LOCKED",
    `${folder} is in use by process ${pid}${host === hostname() ? "" : ` on ${host}`}`,
    isCertain || host === hostname()
      ? "Wait until it ends or stop it, or choose another --name."
      : `Stop it or choose another --name; if it no longer runs, delete ${join(folder, name)}.`,
  );
}

const fileName = ({ host, pid, start }: Claim): string => `lock.${encodeURIComponent(host)}.${pid}.${start}`;

function parse(name: string): Claim | undefined {
  const [, host, pid, start] = /^lock\.(.+)\.(\d+)\.(\d+)$/.exec(name) ?? [];
  if (host === undefined || pid === undefined || start === undefined) return undefined;
  try {
    return { host: decodeURIComponent(host), pid: Number(pid), start };
  } catch {
    // No coordinator wrote it.
    return undefined;
  }
}

/** Another machine's processes cannot be seen from here; they count as living. */
async function isAlive({ host, pid, start }: Claim): Promise<boolean> {
  if (host !== hostname()) return true;
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: there is such a process, of another user.
    if (errnoOf(error) === "ESRCH") return false;
  }
  const seen = await systemRecord(pid);
  return seen === undefined || (seen.start === start && !seen.ended);
}

/** When this process started: as Linux records it, or by its own clock where there is no such record. */
const ownStart = async (): Promise<string> =>
  (await systemRecord(process.pid))?.start ?? String(Math.round(performance.timeOrigin));

/** What /proc/<pid>/stat says (proc_pid_stat(5)): field 22, the start in clock ticks since boot, and field 3, the state. */
async function systemRecord(pid: number): Promise<{ start: string; ended: boolean } | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
  // Field 2, the name in brackets, may hold spaces and brackets itself.
  const fields = stat?.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [state, start] = [fields?.[0], fields?.[19]];
  return state === undefined || start === undefined ? undefined : { start, ended: state === "Z" || state === "X" };
}
