/**
 * A run seen from the command line: its config from file, flags or run folder; its events on the terminal; Ctrl-C; and its
 * last lines.
 */
import { networkInterfaces } from "node:os";
import { unreachable } from "../../shared/errors.ts";
import type { RunConfig } from "../config.ts";
import { configFromFile } from "../config/resolve.ts";
import { resumedConfig } from "../config/resume.ts";
import type { RunResult } from "../events.ts";
import { findRun, latestRun } from "../run-folder/find.ts";
import { startRun } from "../run.ts";
import type { RunFlags } from "./options.ts";
import { rendererFor, type Renderer } from "./render.ts";
import { summary, verdict } from "./sentences.ts";

const defaultRuns = "runs";

/** The config of a new run, or of the one to resume. */
export async function configFor(file: string | undefined, flags: RunFlags): Promise<RunConfig> {
  if (flags.resume === undefined) return configFromFile(file, flags);
  const runs = flags.runs ?? defaultRuns;
  const wanted = flags.resume === true ? flags.name : flags.resume;
  return resumedConfig(wanted === undefined ? latestRun(runs) : findRun(wanted, runs), file, flags);
}

/** Runs to the end and prints it. Resolves when the run is completed or stopped by Ctrl-C; rejects with its error. */
export async function runToEnd(config: RunConfig, flags: RunFlags, localWorkers: number): Promise<void> {
  const renderer = rendererFor(flags, { out: process.stdout, err: process.stderr, now: () => performance.now() });
  const again = `npx lockstep ${localWorkers === 0 ? "coordinator" : "train"} --resume ${config.name}${config.runs === defaultRuns ? "" : ` --runs ${config.runs}`}`;
  let release = (): void => {};
  let result: RunResult;
  try {
    const handle = await startRun({
      config,
      resume: flags.resume !== undefined,
      localWorkers,
      onEvent: (event) => {
        renderer.event(event);
        if (event.type !== "listening" || localWorkers > 0) return;
        for (const url of reachableAddresses(event.url)) renderer.say(`start workers with: npx lockstep worker ${url}`);
      },
    });
    release = stopOnInterrupt(() => handle.stop(), renderer);
    result = await handle.finished;
  } finally {
    release();
    renderer.close();
  }
  if (flags.json === true) return;
  for (const line of lastLines(result, again, flags.quiet === true)) process.stdout.write(`${line}\n`);
}

/** What a run's end says; a completed one always ends with its verdict. */
export function lastLines(result: RunResult, again: string, quiet: boolean): string[] {
  switch (result.outcome) {
    case "completed":
      return [...(quiet ? [] : summary(result)), ...verdict(result)];
    case "stopped":
      return [`stopped after step ${result.steps}, checkpoint written; to go on: ${again}`];
    default:
      return unreachable(result.outcome);
  }
}

/** The first Ctrl-C (or SIGTERM) stops the run, the second ends the process at once. */
function stopOnInterrupt(stop: () => void, renderer: Renderer): () => void {
  let asked = false;
  const onSignal = (): void => {
    if (asked) {
      renderer.close();
      // 128 + SIGINT, as shells have it.
      process.exit(130);
    }
    asked = true;
    renderer.say("stopping: this step is finished and a checkpoint written (Ctrl-C again ends at once)");
    stop();
  };
  process.on("SIGINT", onSignal).on("SIGTERM", onSignal);
  return () => process.off("SIGINT", onSignal).off("SIGTERM", onSignal);
}

/** Where other machines reach a coordinator that listens at all of this machine's addresses. */
function reachableAddresses(url: string): string[] {
  const { hostname, port } = new URL(url);
  if (hostname !== "0.0.0.0" && hostname !== "[::]") return [url];
  const addresses = Object.values(networkInterfaces()).flatMap((entries) => entries ?? []);
  const outside = addresses.filter(({ family, internal }) => family === "IPv4" && !internal);
  return outside.length === 0 ? [url] : outside.map(({ address }) => `ws://${address}:${port}`);
}
