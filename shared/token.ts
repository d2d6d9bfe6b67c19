/**
 * Where a join token comes from: a file, or the variable LOCKSTEP_TOKEN. Never the command line, which every user of the
 * machine can read, and never the config, which is copied into run folders.
 */
import { readFileSync } from "node:fs";
import { errnoOf } from "./errno.ts";
import { LockstepError } from "./errors.ts";
import { JoinToken } from "./protocol/handshake.ts";

export const TOKEN_VARIABLE = "LOCKSTEP_TOKEN";

/** The token in a file, else the one in the environment, else none. Throws TOKEN_INVALID; an empty one is no token. */
export function readToken(file: string | undefined, environment: NodeJS.ProcessEnv): JoinToken {
  if (file !== undefined) return JoinToken.from(contentOf(file), file);
  const text = environment[TOKEN_VARIABLE];
  return text === undefined ? JoinToken.none : JoinToken.from(text, `the variable ${TOKEN_VARIABLE}`);
}

function contentOf(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    const reason = errnoOf(cause) === "ENOENT" ? "no such file" : (errnoOf(cause) ?? String(cause));
    const hint = "--token-file and tokenFile name a file that holds the join token and nothing else";
    throw new LockstepError("TOKEN_INVALID", `${file}: ${reason}`, hint, { cause });
  }
}
