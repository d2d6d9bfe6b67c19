/** What is said when a data file cannot be read. */

import { errnoOf } from "../errno.ts";
import { LockstepError } from "../errors.ts";

/** A DATA_MISSING for a file that the system refused to read, with the system's reason; DATA_INVALID where it is too large to be read whole. */
export const unreadable = (path: string, cause: unknown): LockstepError =>
  errnoOf(cause) === "ERR_FS_FILE_TOO_LARGE"
    ? new LockstepError(
        "DATA_INVALID",
        `${path} has 2 GiB or more, and what it holds is read whole`,
        "Make it smaller, or write the samples as bytes or float32 to .npy or safetensors files, which may have any size.",
        { cause },
      )
    : new LockstepError(
        "DATA_MISSING",
        `cannot read ${path}: ${errnoOf(cause) ?? String(cause)}`,
        "Check that the file exists and may be read.",
        { cause },
      );
