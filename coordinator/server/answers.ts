/** How the coordinator says no over HTTP: `{ error: { code, message, hint } }`. */
import type { Context } from "hono";
import { LockstepError } from "../../shared/errors.ts";

/** An error as its JSON. One that nobody foresaw is a defect: it goes to the log with its stack, and the run goes on. */
export function fail(
  context: Context,
  status: 400 | 401 | 403 | 404 | 411 | 413 | 429 | 500 | 503,
  error: Error,
): Response {
  if (error instanceof LockstepError) {
    const { code, message, hint } = error;
    return context.json({ error: { code, message, hint } }, status);
  }
  process.stderr.write(`while answering ${context.req.method} ${context.req.path}: ${error.stack ?? error.message}\n`);
  return context.json(
    { error: { code: "DEFECT", message: "the coordinator failed to answer", hint: "see its log" } },
    500,
  );
}
