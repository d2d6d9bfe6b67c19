/**
 * What a run starts from besides its seed: ONNX files that are layers of its model, and a safetensors file of weights. They are
 * read when it starts; from the first checkpoint on it doesn't need them.
 */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { matchWeights, type WeightsReport } from "../../shared/checkpoint/weights.ts";
import { errnoOf } from "../../shared/errno.ts";
import { LockstepError } from "../../shared/errors.ts";
import { type OnnxFile, readOnnx } from "../../shared/graph/onnx/file.ts";
import { storedParameters } from "../../shared/graph/onnx/import/importer.ts";
import type { CompiledModel } from "../../shared/nn/model.ts";
import type { LayerSpec } from "../../shared/nn/spec.ts";
import type { RunConfig } from "../config/config.ts";
import type { WeightsSpec } from "../config/model.ts";

type OnnxLayer = Extract<LayerSpec, { kind: "onnx" }>;

export interface Start {
  /** Values of parameters, by name; the others start from the seed. */
  readonly values: ReadonlyMap<string, Float32Array>;
  /** SHA-256, hex, of each file that was read, by its path. */
  readonly files: Readonly<Record<string, string>>;
  /** Of the weights, where there are some. */
  readonly report?: WeightsReport;
}

/** The ONNX files that a model's layers name, by path. Throws MODEL_INVALID where one cannot be read. */
export async function onnxFilesOf({ model }: RunConfig): Promise<ReadonlyMap<string, OnnxFile>> {
  const files = new Map<string, OnnxFile>();
  for (const { file } of onnxLayers(model.layers))
    files.set(file, readOnnx(await bytesOf(file, "MODEL_INVALID"), file));
  return files;
}

const onnxLayers = (layers: readonly LayerSpec[]): OnnxLayer[] =>
  layers.flatMap((layer) =>
    layer.kind === "onnx" ? [layer] : layer.kind === "residual" ? onnxLayers(layer.layers) : [],
  );

/**
 * The values that a model starts from.
 * @throws LockstepError MODEL_INVALID or WEIGHTS_INVALID where a file cannot be read or does not fit
 */
export async function startOf({ model: { layers, weights } }: RunConfig, model: CompiledModel): Promise<Start> {
  const values = new Map<string, Float32Array>();
  const files: Record<string, string> = {};
  const read = async (file: string, code: "MODEL_INVALID" | "WEIGHTS_INVALID"): Promise<Uint8Array> => {
    const bytes = await bytesOf(file, code);
    files[file] = createHash("sha256").update(bytes).digest("hex");
    return bytes;
  };
  for (const { file, prefix = "" } of onnxLayers(layers)) {
    const stored = storedParameters(readOnnx(await read(file, "MODEL_INVALID"), file));
    for (const [name, tensor] of stored) values.set(`${prefix}${name}`, tensor.values);
  }
  if (weights === undefined) return { values, files };
  const { values: loaded, report } = matchWeights(
    await read(weights.file, "WEIGHTS_INVALID"),
    weights.file,
    model.parameters,
    weights.rename,
  );
  checkMatch(weights, report, values);
  for (const [name, tensor] of loaded) values.set(name, tensor);
  return { values, files, report };
}

/** Throws WEIGHTS_INVALID where weights are to be whole and aren't, or match nothing. */
function checkMatch(
  { file, partial = false }: WeightsSpec,
  report: WeightsReport,
  given: ReadonlyMap<string, unknown>,
): void {
  const missing = report.missing.filter((name) => !given.has(name));
  const unfit = missing.length + report.mismatched.length + report.mistyped.length;
  const isWhole = unfit === 0;
  if (isWhole || (partial && report.matched.length > 0)) return;
  const lines = reportLines({ ...report, missing });
  const fits = `${report.matched.length} of ${report.matched.length + unfit} parameters`;
  throw new LockstepError(
    "WEIGHTS_INVALID",
    `${file} fits ${fits}\n  ${lines.join("\n  ")}`,
    partial
      ? "Rename what is there: model.weights.rename maps beginnings of names."
      : "Rename what is there (model.weights.rename), or let the rest start from the seed: model.weights: {file: …, partial: true}.",
  );
}

const MOST_NAMES = 12;

const listed = (names: readonly string[]): string =>
  names.length > MOST_NAMES
    ? `${names.slice(0, MOST_NAMES).join(", ")} and ${names.length - MOST_NAMES} more`
    : names.join(", ");

/** What did not match, for people. */
export function reportLines({ missing, mismatched, mistyped, unexpected }: Omit<WeightsReport, "matched">): string[] {
  const shape = (sizes: readonly number[]): string => `[${sizes.join(", ")}]`;
  return [
    ...(missing.length === 0 ? [] : [`not in the file: ${listed(missing)}`]),
    ...mismatched.map(({ name, model, file }) => `${name} is ${shape(model)} in the model, ${shape(file)} in the file`),
    ...mistyped.map(({ name, type }) => `${name} is ${type} in the file, expected F32, F16 or BF16`),
    ...(unexpected.length === 0 ? [] : [`not in the model: ${listed(unexpected)}`]),
  ];
}

/** Throws RUN_MISMATCH where a run that has no checkpoint yet would start from other files than it did. */
export function checkSameStart(name: string, files: Start["files"], before: Start["files"] = {}): void {
  const changed = Object.keys(before).find((file) => files[file] !== before[file]);
  if (changed === undefined) return;
  throw new LockstepError(
    "RUN_MISMATCH",
    `the run ${name} started from ${changed} with SHA-256 ${before[changed]}, which now has ${files[changed] ?? "no content"}`,
    "Put the file back, or start a new run.",
  );
}

async function bytesOf(file: string, code: "MODEL_INVALID" | "WEIGHTS_INVALID"): Promise<Uint8Array> {
  try {
    return await readFile(file);
  } catch (cause) {
    const reason = errnoOf(cause) === "ENOENT" ? "there is no such file" : String(cause);
    throw new LockstepError(code, `${file} cannot be read: ${reason}`, "Paths start from the config's folder.", {
      cause,
    });
  }
}
