/**
 * The config of a run that goes on: its own config.json, over which a file and flags may change what does not change the
 * result. Throws RUN_MISMATCH for anything else, naming the value of the run and the one asked for.
 */
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { LockstepError } from "../../shared/errors.ts";
import { steeredBy, type RunConfig } from "./config.ts";
import type { FoundRun } from "../run-folder/find.ts";
import { readRun } from "../run-folder/folder.ts";
import { isMap } from "./fields.ts";
import type { Written } from "./file.ts";
import { withFlags, type ConfigFlags } from "./flags.ts";
import { opening, valueAt, type PlaceOf } from "./problems.ts";
import { settle, settleToListen, written, type TrainConfig } from "./resolve.ts";

/** The config a run was started with. Throws RUN_MISSING, or CONFIG_INVALID where its config.json is not as it was written. */
export async function configOfRun(run: FoundRun): Promise<RunConfig> {
  const { config } = await readRun(run.path);
  // The folder may have been moved or renamed since.
  const values = isMap(config) ? { ...config, name: run.name, runs: run.runs } : config;
  const place = join(run.path, "config.json");
  const placeOf: PlaceOf = ([key]) => (key === "name" ? `the folder ${run.path}` : place);
  return settle({ ...written(values), placeOf });
}

/** What `--resume` goes on with, given what the config file says and the flags that stand beside it. */
export async function resumedConfig(run: FoundRun, base: Written, flags: ConfigFlags): Promise<RunConfig> {
  return changedConfig(await configOfRun(run), base, flags);
}

/** What a `train` call with `resume` goes on with. */
export async function resumedFromObject(run: FoundRun, config: TrainConfig): Promise<RunConfig> {
  return changedConfig(await configOfRun(run), written(config), {});
}

function changedConfig(stored: RunConfig, base: Written, flags: ConfigFlags): RunConfig {
  const { name, runs } = stored;
  const layered = isMap(base.values) ? { ...base, values: { ...stored, ...base.values, name, runs } } : base;
  const asked = withFlags(layered, { ...flags, name, runs }, process.cwd());
  const config = withStoredGraphs(withStoredLayers(settleToListen(asked), stored), stored);
  refuseChanges(stored, config, asked.placeOf);
  return config;
}

/** The usual layers are those that the run's data has made. */
const withStoredLayers = (config: RunConfig, { model: { layers } }: RunConfig): RunConfig =>
  config.model.layers.length > 0 ? config : { ...config, model: { ...config.model, layers } };

/** A model with functions goes on as the graphs it was started with, whatever the functions do by now. */
function withStoredGraphs(config: RunConfig, { model: { graphs } }: RunConfig): RunConfig {
  if (graphs === undefined) return config;
  const withoutFunctions = JSON.parse(JSON.stringify(config.model)) as RunConfig["model"];
  return { ...config, model: { ...withoutFunctions, graphs } };
}

/**
 * Not in the list, as they leave the result alone: workers, threads and addresses, audits, checkpoints, and evaluations where nothing
 * steers by them; `data` of the same format, whose content the run checks by its hash wherever it lies; `exact`, which may be given up but not regained; and more epochs.
 */
function refuseChanges(stored: RunConfig, asked: RunConfig, placeOf: PlaceOf): void {
  const kept: readonly PropertyKey[][] = [
    ["seed"],
    ["validation"],
    ["augment"],
    ["model", "layers"],
    ["model", "loss"],
    ["model", "weights"],
    ["optimizer"],
    ["schedule"],
    ["groups"],
    ["average"],
    ["batch"],
    ["shards"],
    ["accumulate"],
    ["monitor"],
    ["stopEarly"],
  ];
  const changed = kept.map((path) => firstDifference(stored, asked, path)).filter((path) => path !== undefined);
  const lines = changed.map((path) => changeAt(path, stored, asked, placeOf));
  for (const [field, why] of keptFor(stored, asked)) {
    const path = firstDifference(stored, asked, [field]);
    if (path !== undefined) lines.push(`${changeAt(path, stored, asked, placeOf)}, as ${why}`);
  }
  if (formatOf(asked) !== formatOf(stored)) lines.push(changeAt(["data", "kind"], stored, asked, placeOf));
  if (asked.epochs < stored.epochs) lines.push(changeAt(["epochs"], stored, asked, placeOf));
  if (asked.exact && !stored.exact) lines.push(changeAt(["exact"], stored, asked, placeOf));
  if (lines.length === 0) return;
  throw new LockstepError(
    "RUN_MISMATCH",
    `the run ${stored.name} cannot go on with another config\n  ${lines.join("\n  ")}`,
    "Leave these out to go on with the run as it is, or start a new run with another --name. Epochs may grow; workers, threads, checkpoints and addresses may change.",
  );
}

/** How the data is written; the digits that come with the package are the same in a folder. */
const formatOf = ({ data: { kind } }: RunConfig): string => (kind === "mnist" ? "idx" : kind);

/** What may change of most runs, and why not of this one. */
function keptFor(stored: RunConfig, asked: RunConfig): [string, string][] {
  const kept: [string, string][] = [];
  if (stored.model.graphs !== undefined) kept.push(["metrics", "its model is kept with what computes them"]);
  // Where nothing is said it is the test loss, if there is test data.
  const watchesTests = stored.monitor?.startsWith("test") ?? true;
  const watcher = steeredBy(stored) ?? (asked.checkpoint.best ? "checkpoint.best" : undefined);
  if (watchesTests && watcher !== undefined)
    kept.push(["evaluateEvery", `${watcher} decides by every evaluation, so that the result would be another`]);
  return kept;
}

/** The path of the first value in which two structures differ. */
function firstDifference(
  left: unknown,
  right: unknown,
  path: readonly PropertyKey[],
): readonly PropertyKey[] | undefined {
  const [here, there] = [valueAt(left, path), valueAt(right, path)];
  if (isDeepStrictEqual(here, there)) return undefined;
  if (isMap(here) && isMap(there))
    for (const key of new Set([...Object.keys(here), ...Object.keys(there)])) {
      const found = firstDifference(left, right, [...path, key]);
      if (found !== undefined) return found;
    }
  return path;
}

function changeAt(path: readonly PropertyKey[], stored: RunConfig, asked: RunConfig, placeOf: PlaceOf): string {
  const [before, after] = [valueAt(stored, path), valueAt(asked, path)].map(
    (value) => JSON.stringify(value) ?? "not set",
  );
  return `${opening(path, placeOf)}: ${before} in the run, not ${after}`;
}
