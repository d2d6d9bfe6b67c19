/** Finds run folders by what people call them. Throws RUN_MISSING, naming the runs there are, CONFIG_INVALID or DISK_FAILED. */
import { existsSync, readdirSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { errnoOf } from "../../shared/errno.ts";
import { LockstepError } from "../../shared/errors.ts";
import { suggestion } from "../../shared/suggest.ts";

/** A run's folder, split into the folder of run folders and the run's name. */
export interface FoundRun {
  readonly runs: string;
  readonly name: string;
  readonly path: string;
}

const isRun = (path: string): boolean => existsSync(join(path, "config.json"));

/** The names of all runs in a folder; none where there is none. Throws DISK_FAILED where it cannot be read. */
function namesIn(runs: string): string[] {
  try {
    return readdirSync(runs).filter((name) => !name.startsWith(".") && isRun(join(runs, name)));
  } catch (cause) {
    const code = errnoOf(cause);
    if (code === "ENOENT") return [];
    const hint = "Check that it is a folder, and that this user may read it.";
    throw new LockstepError("DISK_FAILED", `cannot read the runs in ${runs}: ${code ?? String(cause)}`, hint, {
      cause,
    });
  }
}

/** The same, where nobody can be told; none where the folder cannot be read. */
export function runNames(runs: string): string[] {
  try {
    return namesIn(runs);
  } catch {
    return [];
  }
}

/** The run of that name, if it was ever started. */
export function existingRun(name: string, runs: string): FoundRun | undefined {
  const path = join(runs, name);
  return isRun(path) ? { path, runs, name } : undefined;
}

/** `wanted` is the name of a run in `runs`, or the path of any run's folder. */
export function findRun(wanted: string, runs: string): FoundRun {
  const path = wanted === "" ? undefined : [join(runs, wanted), wanted].find(isRun);
  if (path !== undefined) return { path, runs: dirname(path), name: basename(path) };
  const names = namesIn(runs);
  const hint =
    names.length === 0
      ? "Give the folder of runs with --runs, or start one with `lockstep train`."
      : `There are: ${names.join(", ")}.`;
  // A variable of a script that holds nothing, perhaps.
  if (wanted === "") throw new LockstepError("CONFIG_INVALID", `the name of the run in ${runs} is empty`, hint);
  throw new LockstepError("RUN_MISSING", `there is no run ${wanted} in ${runs}${suggestion(wanted, names)}`, hint);
}

/** The run that wrote a checkpoint last. */
export function latestRun(runs: string): FoundRun {
  const written = (name: string): number =>
    statSync(join(runs, name, "checkpoints"), { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const name = namesIn(runs).sort((left, right) => written(right) - written(left))[0];
  if (name !== undefined) return { path: join(runs, name), runs, name };
  throw new LockstepError(
    "RUN_MISSING",
    `there is no run in ${runs}`,
    "Give the folder of runs with --runs, or start one with `lockstep train`.",
  );
}
