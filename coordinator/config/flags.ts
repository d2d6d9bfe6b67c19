/**
 * Lays command-line flags over what a config file says. A flag's text becomes a number where it reads as one; whether it is
 * right is the schema's business, so a flag and a file get the same kind of message.
 */
import { existsSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { defaultOptimizer } from "./schema.ts";
import { isMap, readChoice } from "./fields.ts";
import { scheduleShort } from "./optimizer.ts";
import type { Written } from "./file.ts";
import { keyPath } from "./problems.ts";

/** The flags that stand for a config's values, by their names in camel case, as text. */
export interface ConfigFlags {
  readonly data?: string;
  readonly layers?: string;
  readonly weights?: string;
  readonly optimizer?: string;
  readonly learningRate?: string;
  readonly momentum?: string;
  readonly schedule?: string;
  readonly warmUp?: string;
  readonly average?: string;
  readonly batch?: string;
  readonly accumulate?: string;
  readonly shards?: string;
  readonly epochs?: string;
  readonly stopEarly?: string;
  readonly seed?: string;
  readonly workers?: string;
  readonly threads?: string;
  readonly name?: string;
  readonly runs?: string;
  readonly exact?: string;
  readonly sharedMemory?: string;
  readonly tensorboard?: boolean;
  readonly audit?: string;
  readonly host?: string;
  readonly port?: string;
  readonly tokenFile?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tlsCa?: string;
  readonly maxConnections?: string;
  readonly insecure?: boolean;
}

const numberFlags = [
  "average",
  "batch",
  "accumulate",
  "shards",
  "epochs",
  "seed",
  "workers",
  "threads",
  "audit",
  "port",
] as const;
const plainFlags = ["name", "runs", "exact", "sharedMemory", "tensorboard", "host", "insecure"] as const;
const layersRule =
  "whole numbers joined by commas: the values of a sample, each hidden layer, the outputs, as in 784,64,10";

const dataRule =
  "mnist, a folder with the four MNIST-named IDX files, or FILE.csv; what data of other kinds is, a config says";

/** The text's number if it is one, else the text itself, for the schema to refuse. */
const numberOr = (text: string): number | string =>
  text.trim() === "" || Number.isNaN(Number(text)) ? text : Number(text);

/** Lays flags over what is written; they win. Paths in flags start from `folder`. */
export function withFlags(written: Written, flags: ConfigFlags, folder: string): Written {
  if (!isMap(written.values)) return written;
  const values = { ...written.values };
  const places = new Map<string, string>();
  const problems = [...written.problems];
  const set = (key: string, value: unknown, flag = `--${key}`): void => {
    values[key] = value;
    places.set(key, flag);
  };
  for (const key of numberFlags) if (flags[key] !== undefined) set(key, numberOr(flags[key]));
  for (const key of plainFlags) if (flags[key] !== undefined) set(key, flags[key]);
  const sizes = flags.layers?.split(",").map(numberOr);
  if (sizes !== undefined) {
    const [inputWidth, ...layers] = sizes;
    if (layers.length === 0 || sizes.some((size) => !Number.isInteger(size) || Number(size) < 1))
      problems.push({
        path: ["model", "layers"],
        message: `found ${JSON.stringify(flags.layers)}, expected ${layersRule}`,
      });
    else
      values["model"] = {
        ...(isMap(values["model"]) ? values["model"] : {}),
        inputWidth,
        layers: layers.map(denseLayer),
      };
    places.set("model.layers", "--layers").set("model.inputWidth", "--layers");
  }
  if (flags.weights !== undefined) {
    const model = isMap(values["model"]) ? values["model"] : {};
    const before = isMap(model["weights"]) ? model["weights"] : {};
    values["model"] = { ...model, weights: { ...before, file: pathFrom(folder, flags.weights) } };
    places.set("model.weights", "--weights");
  }
  if (flags.data !== undefined) {
    set("data", dataFrom(flags.data, values["data"], folder, sizes?.at(-1) ?? 10));
    if (flags.data === "" || isOtherFile(resolve(folder, flags.data)))
      problems.push({ path: ["data"], message: `found ${JSON.stringify(flags.data)}, expected ${dataRule}` });
  }
  setOptimizer(flags, values, places);
  setSchedule(flags, values, places);
  if (flags.stopEarly !== undefined) {
    const before = isMap(values["stopEarly"]) ? values["stopEarly"] : {};
    set("stopEarly", { ...before, patience: numberOr(flags.stopEarly) }, "--stop-early");
  }
  if (flags.maxConnections !== undefined) set("maxConnections", numberOr(flags.maxConnections), "--max-connections");
  if (flags.tokenFile !== undefined) set("tokenFile", pathFrom(folder, flags.tokenFile), "--token-file");
  setTls(flags, values, places, folder);
  return {
    ...written,
    values,
    problems,
    placeOf: (path) => {
      for (let length = path.length; length > 0; length--) {
        const flag = places.get(keyPath(path.slice(0, length)));
        if (flag !== undefined) return flag;
      }
      return written.placeOf(path);
    },
  };
}

/** An empty one stays so, for the schema to refuse. */
const pathFrom = (folder: string, path: string): string => path && resolve(folder, path);

/** Each flag replaces one file of the config's. */
function setTls(
  flags: ConfigFlags,
  values: Record<string, unknown>,
  places: Map<string, string>,
  folder: string,
): void {
  const given = { cert: flags.tlsCert, key: flags.tlsKey, ca: flags.tlsCa };
  for (const [key, file] of Object.entries(given)) {
    if (file === undefined) continue;
    values["tls"] = { ...(isMap(values["tls"]) ? values["tls"] : {}), [key]: pathFrom(folder, file) };
    places.set(`tls.${key}`, `--tls-${key}`);
  }
  // A file that is missing is missed where the others were given.
  if (Object.values(given).some((file) => file !== undefined))
    for (const key of ["cert", "key"]) places.set(`tls.${key}`, `--tls-${key}`);
}

/** The hidden layers have relu, the last one gives the outputs as they are. */
const denseLayer = (units: unknown, index: number, all: readonly unknown[]): object =>
  index === all.length - 1 ? { dense: { units } } : { dense: { units, activation: "relu" } };

const isCsv = (path: string): boolean => /\.csv$/i.test(path);
const isOtherFile = (path: string): boolean => !isCsv(path) && existsSync(path) && statSync(path).isFile();

/**
 * `mnist`, a folder of IDX files, or a CSV file: in place of the config's own CSV file, else with a label in the first
 * column, as many labels as the network has outputs.
 */
function dataFrom(flag: string, written: unknown, folder: string, classes: unknown): unknown {
  if (flag === "mnist") return "mnist";
  const path = resolve(folder, flag);
  if (!isCsv(path)) return { idx: path };
  const before = readChoice(written);
  if (before?.name === "csv" && isMap(before.options)) return { csv: { ...before.options, train: path } };
  return { csv: { train: path, target: 0, classes } };
}

/** --learning-rate and --momentum change the config's optimizer; --optimizer replaces it where it names another. */
function setOptimizer(flags: ConfigFlags, values: Record<string, unknown>, places: Map<string, string>): void {
  const options: Record<string, unknown> = {};
  const set = (key: string, text: string | undefined, flag: string): void => {
    if (text === undefined) return;
    options[key] = numberOr(text);
    places.set(`optimizer.${key}`, flag);
  };
  set("learningRate", flags.learningRate, "--learning-rate");
  set("momentum", flags.momentum, "--momentum");
  if (flags.optimizer !== undefined) places.set("optimizer", "--optimizer");
  else if (Object.keys(options).length === 0) return;
  // Named alone it has its own defaults, as in a config, not those of the run that names none.
  const before = readChoice(values["optimizer"] ?? (flags.optimizer === undefined ? defaultOptimizer : undefined));
  const kind = flags.optimizer ?? before?.name;
  const kept = before?.name === kind ? before?.options : {};
  // What cannot be read at all stays as it is, for the schema to refuse.
  if (isMap(kept)) values["optimizer"] = { kind, ...kept, ...options };
}

/** --schedule replaces the config's where it names another; --warm-up changes it. */
function setSchedule(flags: ConfigFlags, values: Record<string, unknown>, places: Map<string, string>): void {
  if (flags.schedule === undefined && flags.warmUp === undefined) return;
  if (flags.schedule !== undefined) places.set("schedule", "--schedule");
  if (flags.warmUp !== undefined) places.set("schedule.warmUp", "--warm-up");
  const before = readChoice(values["schedule"] ?? { kind: "constant" }, scheduleShort);
  const kind = flags.schedule ?? before?.name;
  const kept = before?.name === kind ? before?.options : {};
  const options = flags.warmUp === undefined ? {} : { warmUp: numberOr(flags.warmUp) };
  if (isMap(kept)) values["schedule"] = { kind, ...kept, ...options };
}
