/** What is said when a data file cannot be read. */

import { errnoOf } from "../errno.ts";
import { LockstepError } from "../errors.ts";

/** A DATA_MISSING for a file that the system refused to read, with the system's reason. */
export const unreadable = (path: string, cause: unknown): LockstepError =>
  new LockstepError(
    "DATA_MISSING",
    `cannot read ${path}: ${errnoOf(cause) ?? String(cause)}`,
    "Check that the file exists and may be read.",
    { cause },
  );
