/**
 * Reads an experiment: a YAML file whose `job` is a config as of `lockstep train` or the path of one, and flags, which win.
 * Throws CONFIG_INVALID with file and line, or the flag.
 */
import { resolve } from "node:path";
import { z } from "zod";
import { LockstepError } from "../../shared/errors.ts";
import { isMap, share, strict, text, wholeNumber, yesOrNo } from "../config/fields.ts";
import { readConfigFile } from "../config/file.ts";
import type { Written } from "../config/file.ts";
import { withFlags } from "../config/flags.ts";
import type { ConfigFlags } from "../config/flags.ts";
import { configInvalid, problemsOf } from "../config/problems.ts";
import { settle, written } from "../config/resolve.ts";
import type { Experiment, Grid } from "./experiment.ts";

/** Those that the grid replaces are lists; the others change the job. */
export interface ScaleFlags extends ConfigFlags {
  readonly job?: string;
  readonly repeat?: string;
  readonly steps?: string;
  readonly target?: string;
  readonly linearScaling?: boolean;
  readonly out?: string;
}

const listOf = (most?: number): z.ZodType<readonly number[]> =>
  z
    .union([z.array(wholeNumber(1, most)).min(1), wholeNumber(1, most).transform((one) => [one])], {
      error: "a list of whole numbers from 1 on, as in [1, 2, 4]",
    })
    .transform((list) => [...new Set(list)].toSorted((left, right) => left - right));

const schema = strict({
  job: z.unknown().optional(),
  workers: listOf(1024).default([1, 2, 4]),
  threads: listOf(1024).optional(),
  shards: listOf(65_536).optional(),
  batch: listOf().optional(),
  repeat: wholeNumber(1).default(3),
  steps: wholeNumber(1).default(300),
  target: share.optional(),
  linearScaling: yesOrNo.default(false),
  out: text("the path of a folder").default("scaling"),
});

const hint = "`lockstep scale --help` shows an experiment file and the flags.";

const gridKeys = ["workers", "threads", "shards", "batch"] as const;

export function readExperiment(file: string | undefined, flags: ScaleFlags): Experiment {
  const asked = withOwnFlags(file === undefined ? written({}) : readConfigFile(file, hint), flags);
  const parsed = schema.safeParse(asked.values);
  if (!parsed.success) throw configInvalid(problemsOf(parsed.error.issues, asked.values), asked.placeOf, hint);
  const { job: _, threads, shards, batch, target, out, ...rest } = parsed.data;
  // These flags are the grid's.
  const { workers: __, threads: ___, shards: ____, batch: _____, ...jobFlags } = flags;
  const job = settle(withFlags(writtenJob(asked), jobFlags, process.cwd()));
  const grid: Grid = {
    workers: rest.workers,
    threads: threads ?? [job.threads],
    shards: shards ?? [job.shards],
    batch: batch ?? [job.batch],
  };
  return { ...rest, job, grid, target, out: resolve(out) };
}

/** The experiment's own flags over what its file says. */
function withOwnFlags(asked: Written, flags: ScaleFlags): Written {
  if (!isMap(asked.values)) return asked;
  const values = { ...asked.values };
  const places = new Map<PropertyKey, string>();
  const set = (key: string, value: unknown, flag = `--${key}`): void => {
    if (value === undefined) return;
    values[key] = value;
    places.set(key, flag);
  };
  for (const key of gridKeys) set(key, flags[key]?.split(",").map(numberOr));
  for (const key of ["repeat", "steps", "target"] as const)
    set(key, flags[key] === undefined ? undefined : numberOr(flags[key]));
  set("job", flags.job && resolve(flags.job));
  set("out", flags.out);
  set("linearScaling", flags.linearScaling, "--linear-scaling");
  return { ...asked, values, placeOf: (path) => places.get(path[0] ?? "") ?? asked.placeOf(path) };
}

const numberOr = (word: string): number | string =>
  word.trim() === "" || Number.isNaN(Number(word)) ? word : Number(word);

/** The job as it stands in the experiment's file, in one of its own, or nowhere: then the defaults. */
function writtenJob({ values, placeOf, folder }: Written): Written {
  const job: unknown = isMap(values) ? values["job"] : undefined;
  if (job === undefined || job === null) return written({});
  if (typeof job === "string") return readConfigFile(resolve(folder, job));
  if (isMap(job)) return { values: job, placeOf: (path) => placeOf(["job", ...path]), folder, problems: [] };
  throw new LockstepError(
    "CONFIG_INVALID",
    `${placeOf(["job"])}: job: expected a config, or the path of a config file`,
    "Write `job: lockstep.yaml`, or the config's keys below `job:`.",
  );
}
