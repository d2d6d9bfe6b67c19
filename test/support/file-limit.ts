/** How many files this process may have open, lowered for a while: by util-linux's `prlimit`, as Node cannot. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";

/** Whether this system has the command. */
export const hasLimits = spawnSync("prlimit", ["--version"]).status === 0;

const script =
  'old=$(ulimit -Sn); read few; prlimit --pid "$0" --nofile="$few":; echo; sleep "$1"; prlimit --pid "$0" --nofile="$old":';

/**
 * Resolves once no file may be opened whose number is not below the limit, to what waits until all is as before.
 * @param limitNow asked when whatever this needs itself is open
 */
export async function lowerFileLimit(limitNow: () => number, seconds: number): Promise<() => Promise<unknown>> {
  const shell = spawn("sh", ["-c", script, `${process.pid}`, `${seconds}`], { stdio: ["pipe", "pipe", "inherit"] });
  const [lowered, ended] = [once(shell.stdout, "data"), once(shell, "exit")];
  shell.stdin.write(`${limitNow()}\n`);
  await lowered;
  return () => ended;
}
