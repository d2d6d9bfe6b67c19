/** The system's own name of what went wrong with a file or a socket. */

/** The code of a system error, such as "ENOENT"; undefined for any other value. */
export const errnoOf = (error: unknown): string | undefined =>
  error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
