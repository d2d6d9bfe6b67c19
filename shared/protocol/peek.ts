/** Looks at a frame's header while its section is still coming, to find out where that goes. */
import { LockstepError } from "../errors.ts";
import { decodeFrame } from "./codec.ts";

/** The message; undefined if it is none, which is for whoever takes the whole frame to say. @param check as for the whole frame */
export function peek<Message>(header: Buffer, check: (header: unknown) => Message): Message | undefined {
  try {
    return check(decodeFrame([header]).header);
  } catch (error) {
    if (error instanceof LockstepError) return undefined;
    throw error;
  }
}
