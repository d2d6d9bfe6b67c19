/** The LockstepError that something ends with; an error of another kind, which has no code, fails the test. */
import { LockstepError } from "../../shared/errors.ts";

function coded(error: unknown): LockstepError {
  if (error instanceof LockstepError) return error;
  throw error;
}

/** What `action` is refused with, or undefined where it is taken. */
export function refusalIfAny(action: () => unknown): LockstepError | undefined {
  try {
    action();
  } catch (error) {
    return coded(error);
  }
  return undefined;
}

/** What `action` is refused with. */
export function refusal(action: () => unknown): LockstepError {
  const error = refusalIfAny(action);
  if (error === undefined) throw new Error("expected a LockstepError, but it was taken");
  return error;
}

/** What `action` fails with, at once or later. */
export async function failureOf(action: () => unknown): Promise<LockstepError> {
  try {
    await action();
  } catch (error) {
    return coded(error);
  }
  throw new Error("expected a LockstepError, but it succeeded");
}
