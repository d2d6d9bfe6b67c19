/** Folders that may have to be made first. */
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { errnoOf } from "./errno.ts";

/**
 * Makes a folder and those above it that are missing. Throws the system's error. Node's own way says ENOENT where a disk is read-only,
 * and tries for ever where the system says that of a folder although the one above it is there, as it does under /proc.
 */
export async function makeFolders(path: string, mode?: number): Promise<void> {
  const unlessThere = (error: unknown): void => {
    if (errnoOf(error) !== "EEXIST") throw error;
  };
  try {
    await mkdir(path, mode);
  } catch (error) {
    if (errnoOf(error) !== "ENOENT" || dirname(path) === path) return unlessThere(error);
    await makeFolders(dirname(path), mode);
    await mkdir(path, mode).catch(unlessThere);
  }
}
