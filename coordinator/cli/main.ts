#!/usr/bin/env node
/** The command `lockstep`. The Node version is checked before anything loads that an older Node could not, and what loads is kept compiled. */
import { checkNodeVersion } from "../node-version.ts";
import { reportError } from "./report-error.ts";

try {
  checkNodeVersion();
  const { keepCompiledCode } = await import("../../shared/cache-folder.ts");
  await keepCompiledCode(process.env);
  const { runCommandLine } = await import("./program.ts");
  process.exitCode = await runCommandLine(process.argv.slice(2));
} catch (error) {
  process.exitCode = reportError(error, process.stderr);
}
