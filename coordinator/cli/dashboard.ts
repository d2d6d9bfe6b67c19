/** `lockstep dashboard`: finished runs in the browser, and runs beside one another. */
import { existsSync, statSync } from "node:fs";
import type { Command } from "commander";
import { LockstepError } from "../../shared/errors.ts";
import { stopOnInterrupt } from "./interrupt.ts";

const examples = `
Examples:
  lockstep dashboard                               the runs in the folder runs, at http://127.0.0.1:7080/
  lockstep dashboard elsewhere/runs --port 8000
  lockstep dashboard --host 0.0.0.0 --token-file join.token    for others too, who log in with the token

A run that goes on has a dashboard of its own, at its coordinator's address.`;

interface DashboardFlags {
  readonly host: string;
  readonly port: string;
  readonly tokenFile?: string;
  readonly insecure?: boolean;
}

export function addDashboard(program: Command): void {
  program
    .command("dashboard")
    .description("show the runs of a folder in the browser, and compare them")
    .argument("[runs]", "folder of run folders", "runs")
    .option("--host <address>", "address to listen at", "127.0.0.1")
    .option("--port <number>", "port to listen at; 0: any free one", "7080")
    .option("--token-file <file>", "file with the token that visitors must know (the variable LOCKSTEP_TOKEN)")
    .option("--insecure", "allow a host other than loopback without a token: anyone may look")
    .addHelpText("after", examples)
    .action(async (runs: string, flags: DashboardFlags) => {
      const { isLoopback, withoutBrackets } = await import("../config/config.ts");
      const { serveLibrary } = await import("../dashboard/serve.ts");
      const { readToken } = await import("../../shared/token.ts");
      const { tokenFile, insecure = false } = flags;
      const host = withoutBrackets(flags.host);
      const port = Number(flags.port);
      const exists = existsSync(runs);
      if (!exists || !statSync(runs).isDirectory())
        throw new LockstepError(
          "RUN_MISSING",
          exists ? `${runs} is no folder` : `there is no folder ${runs}`,
          "Name the folder of run folders, or start a run with `lockstep train`.",
        );
      if (!Number.isInteger(port) || port < 0 || port > 65_535)
        throw new LockstepError(
          "CONFIG_INVALID",
          `--port: found ${flags.port}, expected a whole number from 0 to 65535`,
          "Leave it out for 7080.",
        );
      const token = readToken(tokenFile, process.env);
      if (!isLoopback(host) && token.isNone && !insecure)
        throw new LockstepError(
          "BIND_REFUSED",
          `--host: ${host} can be reached from other machines, and nothing checks who looks`,
          "Give a token with --token-file FILE, or add --insecure if everyone on that network may look.",
        );
      const served = await serveLibrary({ runs, host, port, token });
      process.stdout.write(`dashboard of ${runs}: ${served.url} (Ctrl-C ends it)\n`);
      const interrupted = Promise.withResolvers<void>();
      const release = stopOnInterrupt(interrupted.resolve);
      await interrupted.promise;
      await served.close();
      release();
    });
}
