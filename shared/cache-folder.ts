/** The folder of this user for what can be had again: data that was fetched, and compiled code, with which a process starts sooner. */
import { enableCompileCache } from "node:module";
import { homedir } from "node:os";
import { join } from "node:path";
import { errnoOf } from "./errno.ts";
import { LockstepError } from "./errors.ts";
import { makeFolders } from "./folders.ts";

/** LOCKSTEP_CACHE, or where the system keeps caches of this user. Throws DISK_FAILED where the user has no home. */
export function cacheFolder({ LOCKSTEP_CACHE, XDG_CACHE_HOME }: NodeJS.ProcessEnv): string {
  if (LOCKSTEP_CACHE) return LOCKSTEP_CACHE;
  try {
    return join(XDG_CACHE_HOME || join(homedir(), ".cache"), "lockstep");
  } catch (cause) {
    const hint = "set LOCKSTEP_CACHE to a folder that may be written";
    throw new LockstepError("DISK_FAILED", "this user has no home folder to keep fetched data in", hint, { cause });
  }
}

/**
 * Has Node keep the code that it compiles from now on, and find it there next time, in this process, its threads and children.
 * Reading and compiling 300 modules is half of what a coordinator does before it listens. Where the folder cannot be written
 * nothing is kept. Node's own default is a folder that other users of this machine could put code in.
 */
export async function keepCompiledCode(environment: NodeJS.ProcessEnv): Promise<void> {
  let folder = environment["NODE_COMPILE_CACHE"];
  if (!folder) {
    try {
      folder = join(cacheFolder(environment), "code");
      await makeFolders(folder);
    } catch (error) {
      if (error instanceof LockstepError || errnoOf(error) !== undefined) return;
      throw error;
    }
    environment["NODE_COMPILE_CACHE"] = folder;
  }
  enableCompileCache(folder);
}
