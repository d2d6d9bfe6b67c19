/**
 * How the command line tells an error. A person's mistake: one message, what to do, the code, no stack; anything else is a
 * defect of Lockstep and keeps its stack.
 */
import { LockstepError, type ErrorCode } from "../../shared/errors.ts";

/** Mistakes in what was typed or written, as opposed to what happened while running. */
const usageCodes: ReadonlySet<ErrorCode> = new Set([
  "CONFIG_INVALID",
  "BIND_REFUSED",
  "ADDRESS_INVALID",
  "TOKEN_INVALID",
  "TLS_INVALID",
  "RUN_MISMATCH",
]);

/** Writes the error and returns the exit code: 2 for usage and config, 1 for everything else. */
export function reportError(error: unknown, stream: { write(text: string): unknown }): number {
  if (error instanceof LockstepError) {
    stream.write(`error: ${error.message} [${error.code}]\n${error.hint && `  what to do: ${error.hint}\n`}`);
    return usageCodes.has(error.code) ? 2 : 1;
  }
  const details = error instanceof Error ? (error.stack ?? error.message) : String(error);
  stream.write(
    `${details}\nThis is a defect of Lockstep, not of what you did: please report it with the lines above.\n`,
  );
  return 1;
}
