/** With which code a process ends after an error. Coordinator and worker have the same, for supervisors that start them again. */
import { LockstepError, type ErrorCode } from "./errors.ts";

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
