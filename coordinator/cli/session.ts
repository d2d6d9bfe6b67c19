/**
 * A run seen from the command line: its config from file, flags or run folder; its events on the terminal or in the log; Ctrl-C;
 * and its last lines.
 */
import { networkInterfaces } from "node:os";
import { basename } from "node:path";
import { LockstepError, unreachable } from "../../shared/errors.ts";
import { exitCodeOf } from "../../shared/exit-code.ts";
import { logSettings, openLog } from "../../shared/log.ts";
import type { RunConfig } from "../config/config.ts";
import { isMap } from "../config/fields.ts";
import { readConfigFile, type Written } from "../config/file.ts";
import { configFromWritten, written } from "../config/resolve.ts";
import { resumedConfig } from "../config/resume.ts";
import type { RunResult } from "../events.ts";
import { existingRun, findRun, latestRun } from "../run-folder/find.ts";
import { startRun } from "../run/run.ts";
import { commandLine } from "./command.ts";
import type { RunFlags } from "./options.ts";
import { quoted } from "./format.ts";
import { stopOnInterrupt } from "./interrupt.ts";
import { rendererFor, type Renderer } from "./render.ts";
import { endSentence, stoppedAt, summary, verdict } from "./sentences.ts";

const defaultRuns = "runs";

/** A run to start: a new one, or one that goes on. */
interface PlannedRun {
  readonly config: RunConfig;
  /** Nobody chose its name. */
  readonly mayRename: boolean;
  readonly resume: boolean;
}

/** What the flags ask for: a new run, one to resume, or with `--continue` whichever of the two the run folder says. */
export async function plannedRun(file: string | undefined, flags: RunFlags): Promise<PlannedRun> {
  // Read once: it may be a pipe, which holds nothing the second time.
  const base = file === undefined ? written({}) : readConfigFile(file);
  const runs = flags.runs ?? textIn(base, "runs") ?? defaultRuns;
  const name = flags.name ?? textIn(base, "name");
  const mayRename = name === undefined;
  if (flags.continue === true) {
    if (flags.resume !== undefined)
      throw new LockstepError(
        "CONFIG_INVALID",
        "--continue: --resume stands beside it, and goes on only with a run that exists",
        "Give one of them: --continue with --name NAME, or --resume NAME.",
      );
    if (name === undefined)
      throw new LockstepError(
        "CONFIG_INVALID",
        "--continue: missing the run's name",
        "Add --name NAME, so that the same command finds the run again.",
      );
    const existing = existingRun(name, runs);
    if (existing !== undefined) return { config: await resumedConfig(existing, base, flags), mayRename, resume: true };
  } else if (flags.resume !== undefined) {
    const wanted = flags.resume === true ? name : flags.resume;
    const found = wanted === undefined ? latestRun(runs) : findRun(wanted, runs);
    if (flags.name !== undefined && flags.name !== found.name)
      throw new LockstepError(
        "CONFIG_INVALID",
        `--name: the run that goes on is ${found.name}, not ${flags.name}`,
        "Leave --name out, or name with --resume the run that is to go on: it keeps its name.",
      );
    return { config: await resumedConfig(found, base, flags), mayRename, resume: true };
  }
  return { config: configFromWritten(base, flags), mayRename, resume: false };
}

/** A text at the top of a config, such as its folder of runs. */
function textIn({ values }: Written, key: string): string | undefined {
  const value = isMap(values) ? values[key] : undefined;
  return typeof value === "string" ? value : undefined;
}

/**
 * `lockstep train` or `lockstep coordinator`, to the end and with its exit code. The coordinator runs under supervisors, whose logs
 * others read; what `train` prints is for whoever typed it, also through a pipe.
 */
export async function runCommand(
  command: "train" | "coordinator",
  file: string | undefined,
  flags: RunFlags,
): Promise<void> {
  const { stdout: out, stderr: err } = process;
  const settings = logSettings(flags, process.env, command === "train" || out.isTTY ? "pretty" : "json");
  const log = await openLog(settings, "coordinator", { out, err });
  const renderer = rendererFor(settings, log, { out, now: () => performance.now() });
  try {
    const planned = await plannedRun(file, flags);
    const { result, next } = await runToEnd(
      planned,
      renderer,
      command === "train" ? planned.config.workers : 0,
      flags.trace,
    );
    if (settings.format === "json") log.say("info", endSentence(result), { type: "finished", result });
    else for (const line of lastLines(result, next, settings.level === "warn")) out.write(`${line}\n`);
  } catch (error) {
    log.end(error);
    process.exitCode = exitCodeOf(error);
  }
}

/** Commands that a person may want next. */
interface Next {
  /** Goes on with a run that was stopped. */
  readonly again: string;
  /** Uses the model of one that is completed. */
  readonly use: string;
}

/** Resolves when the run is completed or stopped by Ctrl-C; rejects with its error. */
async function runToEnd(
  { config, mayRename, resume }: PlannedRun,
  renderer: Renderer,
  localWorkers: number,
  trace: RunFlags["trace"],
): Promise<{ result: RunResult; next: Next }> {
  const where = config.runs === defaultRuns ? "" : ` --runs ${quoted(config.runs)}`;
  const nextFor = (name: string): Next => ({
    again: commandLine(`${localWorkers === 0 ? "coordinator" : "train"} --resume ${name}${where}`),
    use: commandLine(`predict ${name}${where} --input FILE`),
  });
  let release = (): void => {};
  try {
    const handle = await startRun({
      config,
      mayRename,
      resume,
      localWorkers,
      trace,
      onEvent: (event) => {
        renderer.event(event);
        if (event.type !== "listening" || localWorkers > 0) return;
        for (const url of reachableAddresses(event.url, networkInterfaces())) {
          renderer.say(`start workers with: ${commandLine(`worker ${url}`)}`);
        }
      },
    });
    const stop = (): void => {
      renderer.say(
        "stopping: a step under way is finished, and those taken are in a checkpoint (Ctrl-C again ends at once)",
      );
      handle.stop();
    };
    release = stopOnInterrupt(stop, () => renderer.close());
    const result = await handle.finished;
    return { result, next: nextFor(basename(result.folder)) };
  } finally {
    release();
    renderer.close();
  }
}

/** What a run's end says; a completed one always ends with its verdict. */
export function lastLines(result: RunResult, next: Next, quiet: boolean): string[] {
  switch (result.outcome) {
    case "completed":
      return [...(quiet ? [] : [...summary(result, next.again), `use it: ${next.use}`]), ...verdict(result)];
    case "stopped":
      return [`${stoppedAt(result)}${result.steps === 0 ? "" : ", checkpoint written"}; to go on: ${next.again}`];
    default:
      return unreachable(result.outcome);
  }
}

/** Where other machines reach a coordinator that listens at all of this machine's addresses. IPv6 is told where there is no other. */
export function reachableAddresses(url: string, interfaces: ReturnType<typeof networkInterfaces>): string[] {
  const { protocol, hostname, port } = new URL(url);
  if (hostname !== "0.0.0.0" && hostname !== "[::]") return [url];
  const outside = Object.values(interfaces).flatMap((entries) => entries?.filter(({ internal }) => !internal) ?? []);
  const hosts = outside.flatMap(({ family, address }) => (family === "IPv4" ? [address] : []));
  // An address of one link is none without its zone, which no URL can name.
  if (hosts.length === 0 && hostname === "[::]")
    for (const each of outside) if (each.family === "IPv6" && each.scopeid === 0) hosts.push(`[${each.address}]`);
  return hosts.length === 0 ? [url] : hosts.map((host) => `${protocol}//${host}:${port}`);
}
