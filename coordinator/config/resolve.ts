/** Turns what is written, in a file, flags or TypeScript, into a checked RunConfig. Throws CONFIG_INVALID or BIND_REFUSED. */
import { readdirSync } from "node:fs";
import { basename, extname, resolve } from "node:path";
import { mainPath, withPaths, type DataSpec } from "../../shared/data/spec.ts";
import type { OwnDataset } from "../../shared/data/own.ts";
import type { LayerSpec } from "../../shared/nn/spec.ts";
import type { z } from "zod";
import { LockstepError } from "../../shared/errors.ts";
import { TOKEN_VARIABLE } from "../../shared/token.ts";
import { completeConfig, configSchema } from "./schema.ts";
import { isLoopback, type RunConfig } from "./config.ts";
import { problemsBetweenFields } from "./between-fields.ts";
import type { Written } from "./file.ts";
import { withFlags, type ConfigFlags } from "./flags.ts";
import { configInvalid, opening, problemsOf } from "./problems.ts";

/** A config as TypeScript gives it: every part may be left out. */
export type TrainConfig = Partial<Omit<RunConfig, "model" | "checkpoint" | "data">> & {
  /** What a config names, or datasets of one's own. */
  readonly data?: "mnist" | DataSpec | { readonly train: OwnDataset; readonly test?: OwnDataset };
  readonly model?: Partial<RunConfig["model"]>;
  readonly checkpoint?: Partial<RunConfig["checkpoint"]>;
};

/** The config of a new run, from what a file says (or nothing) and flags, which win. */
export const configFromWritten = (asked: Written, flags: ConfigFlags): RunConfig =>
  settleToListen(withFlags(asked, flags, process.cwd()));

/** The config of a new run, from TypeScript. */
export const configFromObject = (config: TrainConfig): RunConfig => settleToListen(written(config));

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
  const read = withAbsolutePaths(parsed.data, folder);
  const config = completeConfig(read, (data) => freshName(data, read.runs));
  const between = problemsBetweenFields(config);
  if (between.length > 0) throw configInvalid(between, placeOf);
  return config;
}

/** The same for a run that is about to listen, which it may not do for everyone unless it was told to. */
export function settleToListen(asked: Written): RunConfig {
  const config = settle(asked);
  const guarded = config.tokenFile !== undefined || process.env[TOKEN_VARIABLE] !== undefined;
  if (isLoopback(config.host) || guarded || config.insecure) return config;
  throw new LockstepError(
    "BIND_REFUSED",
    `${opening(["host"], asked.placeOf)}: ${config.host} can be reached from other machines, and nothing checks who connects`,
    `Give a join token, with --token-file FILE or in the variable ${TOKEN_VARIABLE}, and the same to the workers; or add --insecure if everyone on that network may join the run.`,
  );
}

type Read = z.output<typeof configSchema>;

/** Paths of files are seen from the config's folder. */
function withAbsolutePaths({ data, model, tokenFile, tls, ...others }: Read, folder: string): Read {
  const absolute = (path: string | undefined): string | undefined => path && resolve(folder, path);
  return {
    ...others,
    data: withPaths(data, (path) => resolve(folder, path)),
    model: {
      ...model,
      ...(model.layers === undefined ? {} : { layers: model.layers.map((layer) => withAbsoluteFile(layer, folder)) }),
      ...(model.weights === undefined
        ? {}
        : { weights: { ...model.weights, file: resolve(folder, model.weights.file) } }),
    },
    tokenFile: absolute(tokenFile),
    tls: tls && { cert: resolve(folder, tls.cert), key: resolve(folder, tls.key), ca: absolute(tls.ca) },
  };
}

function withAbsoluteFile(layer: LayerSpec, folder: string): LayerSpec {
  if (layer.kind === "onnx") return { ...layer, file: resolve(folder, layer.file) };
  return layer.kind === "residual"
    ? { ...layer, layers: layer.layers.map((inner) => withAbsoluteFile(inner, folder)) }
    : layer;
}

/** A name after the data that no run has yet, such as mnist-3. */
export function freshName(data: DataSpec, runs: string): string {
  const path = mainPath(data);
  const source = path === undefined ? data.kind : basename(path, extname(path));
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
