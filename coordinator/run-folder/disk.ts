/**
 * Writing so that a crash at any moment leaves either the old file or the new one, whole: aside, synced, renamed, and the
 * folder synced, without which a rename may be forgotten by a power cut.
 */

import { constants as flags } from "node:fs";
import { open, readdir, readFile, rename, rm } from "node:fs/promises";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import { errnoOf } from "../../shared/errno.ts";
import { LockstepError } from "../../shared/errors.ts";

/** Ends the name of a file that is still being written. */
const partialSuffix = ".partial";
let writes = 0;

/**
 * How files of a run folder are opened whose old lines stay: never through a link, which a folder from somebody else may have to any
 * file of this user. Windows has no such flag.
 */
const direct = flags.O_NOFOLLOW ?? 0;
export const ADDING = flags.O_RDWR | flags.O_APPEND | flags.O_CREAT | direct;
export const CHANGING = flags.O_RDWR | direct;

/** Puts `content`, whole or piece by piece, at `path`, or fails with DISK_FAILED and leaves what was there. */
export function writeAtomically(path: string, content: Uint8Array | string | AsyncIterable<string>): Promise<void> {
  const partial = `${path}.${++writes}${partialSuffix}`;
  return onDisk(path, async () => {
    try {
      const file = await open(partial, "w");
      try {
        await file.writeFile(content);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(partial, path);
    } catch (error) {
      await rm(partial, { force: true }).catch(() => {});
      throw error;
    }
    await syncFolder(dirname(path));
  });
}

/** Removes what a killed process left half written in `folder`; only for the one that holds the run's lock. */
export function removePartialFiles(folder: string): Promise<void> {
  return onDisk(folder, async () => {
    for (const name of await readdir(folder))
      if (name.endsWith(partialSuffix)) await rm(join(folder, name), { force: true });
  });
}

/** What a file holds; undefined where there is none. Throws DISK_FAILED for one that cannot be read. */
export const readIfThere = (path: string): Promise<Buffer | undefined> => reading(path, () => readFile(path));

/** Reads something of `path`; undefined where there is none. Throws DISK_FAILED where it cannot be read. */
export async function reading<T>(path: string, operation: () => Promise<T>): Promise<T | undefined> {
  try {
    return await operation();
  } catch (cause) {
    const code = errnoOf(cause);
    if (code === "ENOENT") return undefined;
    if (code === undefined) throw cause;
    throw new LockstepError(
      "DISK_FAILED",
      `cannot read ${path}: ${nameOf(code)}`,
      "Check that this user may read it, and that it is a file or folder as the run made it.",
      { cause },
    );
  }
}

const tooManyOpen = "Raise the limit of open files (ulimit -n); a run that has begun goes on with --resume.";

/** Where it is not the disk that is at fault. */
const hints: Readonly<Record<string, string>> = {
  ELOOP: "It is a link, and those are not followed: put the file itself there.",
  EMFILE: tooManyOpen,
  ENFILE: tooManyOpen,
};

/** Makes created, renamed and removed names in `folder` durable. */
export async function syncFolder(folder: string): Promise<void> {
  // Windows neither opens folders as files nor needs this.
  if (process.platform === "win32") return;
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Runs an operation on `path`; an error of the system becomes DISK_FAILED with the path and the system's code. */
export async function onDisk<T>(path: string, operation: () => Promise<T>): Promise<T> {
  try {
    return await operation();
  } catch (cause) {
    const code = errnoOf(cause);
    if (code === undefined || cause instanceof LockstepError) throw cause;
    throw new LockstepError(
      "DISK_FAILED",
      `cannot use ${path}: ${nameOf(code)}`,
      hints[code] ??
        "Check that the disk has room and the folder may be written; a run that has begun goes on with --resume.",
      { cause },
    );
  }
}

/** The system's name for a code; Node has none for some, such as a used-up quota: "Unknown system error -122". */
function nameOf(code: string): string {
  const number = /^Unknown system error -(\d+)$/.exec(code)?.[1];
  const known = Object.entries(constants.errno).find(([, value]) => value === Number(number));
  return known?.[0] ?? code;
}
