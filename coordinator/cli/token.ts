/** `lockstep token`: makes a join token, or derives the reader's token from one. */
import { randomBytes } from "node:crypto";
import type { Command } from "commander";

const examples = `
Examples:
  lockstep token > join.token                      a fresh join token, for coordinator and workers
  lockstep token --reader --token-file join.token  what Prometheus, or who only looks, needs to know`;

export function addToken(program: Command): void {
  program
    .command("token")
    .description("print a fresh join token, or the token that lets people look at a run and do nothing else")
    .option("--reader", "print the reader's token that belongs to a join token")
    .option("--token-file <file>", "file with that join token (the variable LOCKSTEP_TOKEN)")
    .addHelpText("after", examples)
    .action(async (flags: { reader?: boolean; tokenFile?: string }) => {
      if (flags.reader !== true && flags.tokenFile !== undefined) {
        const { LockstepError } = await import("../../shared/errors.ts");
        const hint = "add --reader, or leave --token-file out: a fresh token is printed";
        throw new LockstepError("CONFIG_INVALID", "--token-file names the token that --reader derives one from", hint);
      }
      process.stdout.write(`${flags.reader === true ? await readerToken(flags.tokenFile) : fresh()}\n`);
    });
}

const fresh = (): string => randomBytes(24).toString("base64url");

async function readerToken(file: string | undefined): Promise<string> {
  const { LockstepError } = await import("../../shared/errors.ts");
  const { readToken } = await import("../../shared/token.ts");
  const token = readToken(file, process.env);
  if (!token.isNone) return token.derived("reader");
  throw new LockstepError(
    "TOKEN_INVALID",
    "there is no join token to derive the reader's from",
    "name its file with --token-file, or set LOCKSTEP_TOKEN",
  );
}
