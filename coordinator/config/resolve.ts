/** Turns what is written, in a file, flags or TypeScript, into a checked RunConfig. Throws CONFIG_INVALID or BIND_REFUSED. */
import { readdirSync } from "node:fs";
import { basename, extname, resolve } from "node:path";
import type { DataSpec } from "../../shared/data/spec.ts";
import { LockstepError, unreachable } from "../../shared/errors.ts";
import { completeConfig, configSchema, isLoopback, problemsBetweenFields, type RunConfig } from "../config.ts";
import { readConfigFile, type Written } from "./file.ts";
import { withFlags, type ConfigFlags } from "./flags.ts";
import { configInvalid, opening, problemsOf } from "./problems.ts";

/** A config as TypeScript gives it: every part may be left out. */
export type TrainConfig = Partial<Omit<RunConfig, "model" | "checkpoint">> & {
  readonly model?: Partial<RunConfig["model"]>;
  readonly checkpoint?: Partial<RunConfig["checkpoint"]>;
};

/** The config of a new run, from a file (or the defaults) and flags, which win. */
export function configFromFile(file: string | undefined, flags: ConfigFlags): RunConfig {
  return settle(withFlags(file === undefined ? written({}) : readConfigFile(file), flags, process.cwd()));
}

/** The config of a new run, from TypeScript. */
export const configFromObject = (config: TrainConfig): RunConfig => settle(written(config));

/** Values that stand in no file. */
export const written = (values: unknown, place = "config"): Written => ({
  values,
  placeOf: () => place,
  folder: process.cwd(),
  problems: [],
});

/** Checks what is written, fills in what is not, and reports all problems at once. */
export function settle({ values, placeOf, folder, problems }: Written): RunConfig {
  const parsed = configSchema.safeParse(values);
  const found = [...problems, ...(parsed.success ? [] : problemsOf(parsed.error.issues, values))];
  if (!parsed.success || found.length > 0) throw configInvalid(found, placeOf);
  const read = { ...parsed.data, data: withAbsolutePaths(parsed.data.data, folder) };
  const config = completeConfig(read, (data) => freshName(data, read.runs));
  const between = problemsBetweenFields(config);
  if (between.length > 0) throw configInvalid(between, placeOf);
  if (!isLoopback(config.host) && !config.insecure)
    throw new LockstepError(
      "BIND_REFUSED",
      `${opening(["host"], placeOf)}: ${config.host} can be reached from other machines, and nothing checks who connects`,
      "Keep the host 127.0.0.1, or add --insecure if everyone on that network may join the run.",
    );
  return config;
}

function withAbsolutePaths(data: DataSpec, folder: string): DataSpec {
  switch (data.kind) {
    case "mnist":
      return data;
    case "idx":
      return { ...data, path: resolve(folder, data.path) };
    case "csv":
      return {
        ...data,
        train: resolve(folder, data.train),
        ...(data.test === undefined ? {} : { test: resolve(folder, data.test) }),
      };
    default:
      return unreachable(data);
  }
}

/** A name after the data that no run has yet, such as mnist-3. */
function freshName(data: DataSpec, runs: string): string {
  const source =
    data.kind === "mnist"
      ? "mnist"
      : data.kind === "idx"
        ? basename(data.path)
        : basename(data.train, extname(data.train));
  const stem =
    source
      .replaceAll(/[^A-Za-z0-9]+/g, "-")
      .replaceAll(/^-+|-+$/g, "")
      .slice(0, 80) || "run";
  const numbers = existing(runs).map((name) => (name.startsWith(`${stem}-`) ? Number(name.slice(stem.length + 1)) : 0));
  return `${stem}-${Math.max(0, ...numbers.filter(Number.isSafeInteger)) + 1}`;
}

function existing(runs: string): string[] {
  try {
    return readdirSync(runs);
  } catch {
    // No such folder yet; if it cannot be read at all, creating the run says so.
    return [];
  }
}
