/** How the command line tells an error that ends it, and the exit code for it. */
import { LockstepError, type ErrorCode } from "../../shared/errors.ts";
import { errorText } from "../../shared/log.ts";

/** Mistakes in what was typed or written, as opposed to what happened while running. */
const usageCodes: ReadonlySet<ErrorCode> = new Set([
  "CONFIG_INVALID",
  "BIND_REFUSED",
  "ADDRESS_INVALID",
  "TOKEN_INVALID",
  "TLS_INVALID",
  "RUN_MISMATCH",
]);

/** 2 for usage and config, 1 for everything else. */
export const exitCodeOf = (error: unknown): number =>
  error instanceof LockstepError && usageCodes.has(error.code) ? 2 : 1;

/** Writes the error and returns the exit code. */
export function reportError(error: unknown, stream: { write(text: string): unknown }): number {
  stream.write(errorText(error));
  return exitCodeOf(error);
}
