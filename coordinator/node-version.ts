/**
 * The version check, run before anything that an older Node could not load: shared WebAssembly memory as engine input
 * and the language features of the sources need Node 24.
 */
import { LockstepError } from "../shared/errors.ts";

const oldestMajor = 24;

/** Throws NODE_TOO_OLD. `version` is like 24.1.0. */
export function checkNodeVersion(version: string = process.versions.node): void {
  if (Number.parseInt(version, 10) >= oldestMajor) return;
  throw new LockstepError(
    "NODE_TOO_OLD",
    `Lockstep needs Node ${oldestMajor} or newer, this is Node ${version}`,
    "The package brings its own Node: start it with `npx lockstep` or from an npm script. Or install Node 24 from nodejs.org.",
  );
}
