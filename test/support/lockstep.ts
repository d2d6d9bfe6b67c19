/** Real Lockstep processes for tests: whatever a test leaves running is killed when it ends. */
import { onTestFinished } from "vitest";
import { Lockstep } from "./lockstep-process.ts";

export { asEvents } from "./lockstep-process.ts";
export type { Finished, Lockstep } from "./lockstep-process.ts";

function watched(process: Lockstep): Lockstep {
  onTestFinished(() => process.killAll());
  return process;
}

/** `lockstep ARGS`, as typed by a person. */
export const lockstep = (args: readonly string[], cwd?: string, environment = {}): Lockstep =>
  watched(new Lockstep("coordinator/cli/main.ts", args, cwd, environment));

/** A worker process, without the command around it. */
export const worker = (args: readonly string[], environment = {}): Lockstep =>
  watched(new Lockstep("worker/main.ts", args, undefined, environment));

/** Another program of the tests, by its file. */
export const program = (file: `test/${"support" | "examples"}/${string}`, args: readonly string[]): Lockstep =>
  watched(new Lockstep(file, args));
