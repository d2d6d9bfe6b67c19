/** Training from TypeScript: the same runs as the command's `train`, with the same checks. */
import { join } from "node:path";
import type { RunEvent, RunResult } from "./events.ts";
import { isMap } from "./config/fields.ts";
import { configFromObject, type TrainConfig } from "./config/resolve.ts";
import { resumedFromObject } from "./config/resume.ts";
import { findRun } from "./run-folder/find.ts";
import { checkGiven, type Form, form, type Forms, mapOf, optional, text, truth } from "../shared/arguments.ts";
import { LockstepError } from "../shared/errors.ts";

export interface TrainOptions {
  /**
   * Hears of everything that happens; the last event is `finished`, or `failed` with the error that ends the run. What it throws, or a promise that it returns rejects with, stops
   * the run, with a checkpoint, and `train` rejects with it. Such promises are waited for at the end, before `train` resolves.
   */
  readonly onEvent?: (event: RunEvent) => void;
  /** Go on with the run of the config's name, where it stopped, to the bits of an uninterrupted run. */
  readonly resume?: boolean;
  /** Writes what each thread does in every step, for Perfetto, into this new file; `true`: into trace.json of the run folder. */
  readonly trace?: string | true;
  /** Aborting stops the run after the open step, with a checkpoint; the result's outcome is then `stopped`. */
  readonly signal?: AbortSignal;
}

/**
 * Trains with `config.workers` worker processes on this machine. Every part of the config has a default, which together
 * are the classic 784-64-10 network on MNIST. Rejects with a LockstepError: its `code` says what kind, `hint` what to do.
 */
export async function train(config: TrainConfig = {}, options: TrainOptions = {}): Promise<RunResult> {
  checkGiven("train: ", { options }, forms, "See the type TrainOptions; what is trained is in the config.");
  const { onEvent, resume = false, trace, signal } = options;
  // Loaded here, so that importing the package for its builders stays light and the version check comes first.
  const { startRun } = await import("./run/run.ts");
  // A call from plain JavaScript may give anything: this says what is wrong with it.
  if (!isMap(config)) configFromObject(config);
  const asked = await withOwnData(config);
  const resolved = resume
    ? await resumedFromObject(findRun(nameOf(asked), asked.runs ?? "runs"), asked)
    : configFromObject(asked);
  const handle = await startRun({
    config: resolved,
    mayRename: config.name === undefined,
    resume,
    localWorkers: resolved.workers,
    trace,
    ...(onEvent === undefined ? {} : { onEvent }),
  });
  const stop = (): void => handle.stop();
  signal?.addEventListener("abort", stop, { once: true });
  if (signal?.aborted === true) stop();
  try {
    return await handle.finished;
  } finally {
    signal?.removeEventListener("abort", stop);
  }
}

const trainOptions: { readonly [Name in keyof TrainOptions]-?: Form } = {
  onEvent: optional(form("a function of an event", (value) => typeof value === "function")),
  resume: optional(truth),
  trace: optional(form("the name of a file, or true", (value) => value === true || text.fits(value))),
  signal: optional(form("the signal of an AbortController", (value) => value instanceof AbortSignal)),
};
const forms: Forms = { options: mapOf(trainOptions) };

/** Datasets of one's own become files beside the runs, which workers can read. */
async function withOwnData(config: TrainConfig): Promise<TrainConfig> {
  const { data, runs = "runs" } = config;
  if (!isMap(data) || "kind" in data || !(isMap(data.train) || isMap(data.test))) return config;
  const { writeOwn } = await import("../shared/data/own.ts");
  return { ...config, data: await writeOwn(data, join(runs, ".data")) };
}

function nameOf({ name }: TrainConfig): string {
  if (name !== undefined) return name;
  throw new LockstepError(
    "CONFIG_INVALID",
    "config: name: missing, expected the name of the run to resume",
    "Give the name that the run was started with.",
  );
}
