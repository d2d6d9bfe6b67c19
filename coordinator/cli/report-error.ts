/** How the command line tells an error that ends it, and the exit code for it. */
import { exitCodeOf } from "../../shared/exit-code.ts";
import { errorText } from "../../shared/log.ts";

/** Writes the error and returns the exit code. */
export function reportError(error: unknown, stream: { write(text: string): unknown }): number {
  stream.write(errorText(error));
  return exitCodeOf(error);
}
