/**
 * Weights of another program, in a safetensors file: each tensor that a model has by name and shape, and what did not match. F16
 * and BF16 are widened to float32, which changes no value.
 */
import { LockstepError } from "../errors.ts";
import { describePlace, product } from "../shape.ts";
import { type Damaged, placesIn } from "./safetensors.ts";

/** How the names in a file become those of the model: the longest beginning that fits is replaced. */
export type Renaming = Readonly<Record<string, string>>;

interface Wanted {
  readonly name: string;
  readonly shape: readonly number[];
}

/** What matched, and what did not. */
export interface WeightsReport {
  /** Parameters that start from the file. */
  readonly matched: readonly string[];
  /** Parameters that the file has nothing for. */
  readonly missing: readonly string[];
  /** Parameters that have another shape in the file. */
  readonly mismatched: readonly {
    readonly name: string;
    readonly model: readonly number[];
    readonly file: readonly number[];
  }[];
  /** Parameters that are of a type in the file which float32 doesn't hold exactly. */
  readonly mistyped: readonly { readonly name: string; readonly type: string }[];
  /** Tensors of the file that no parameter has the name of. */
  readonly unexpected: readonly string[];
}

/** Throws WEIGHTS_INVALID for bytes that are no safetensors file, or hold what is no number where a parameter is to start. */
export function matchWeights(
  bytes: Uint8Array,
  source: string,
  parameters: readonly Wanted[],
  renaming: Renaming = {},
): { readonly values: Map<string, Float32Array>; readonly report: WeightsReport } {
  const damaged: Damaged = (reason) =>
    invalid(`${source} is no whole safetensors file: ${reason}`, "Save or download the weights again.");
  const { placed, dataStart } = placesIn(bytes, widths, damaged);
  const tensors = new Map<string, (typeof placed)[number]>();
  for (const tensor of placed) {
    const name = renamed(tensor.name, renaming);
    if (tensors.has(name)) throw invalid(`${source}: renamed, two tensors are called ${name}`, "Rename fewer.");
    tensors.set(name, tensor);
  }
  const values = new Map<string, Float32Array>();
  const missing: string[] = [];
  const mismatched: WeightsReport["mismatched"][number][] = [];
  const mistyped: WeightsReport["mistyped"][number][] = [];
  for (const { name, shape } of parameters) {
    const tensor = tensors.get(name);
    const valuesIn = tensor && readers[tensor.dtype];
    if (tensor === undefined) missing.push(name);
    else if (valuesIn === undefined) mistyped.push({ name, type: tensor.dtype });
    else if (tensor.shape.join() !== shape.join()) mismatched.push({ name, model: shape, file: tensor.shape });
    else {
      const start = valuesIn(new DataView(bytes.buffer, bytes.byteOffset + dataStart + tensor.begin), product(shape));
      checkFinite(start, `${source}: ${tensor.name}`, shape);
      values.set(name, start);
    }
  }
  const known = new Set(parameters.map(({ name }) => name));
  const unexpected = [...tensors.keys()].filter((name) => !known.has(name));
  return { values, report: { matched: [...values.keys()], missing, mismatched, mistyped, unexpected } };
}

function checkFinite(values: Float32Array, called: string, shape: readonly number[]): void {
  const wrong = values.findIndex((value) => !Number.isFinite(value));
  if (wrong < 0) return;
  throw invalid(
    `${called} [${shape.join(", ")}] is ${values[wrong]} at ${describePlace(shape, wrong)}, expected a finite number`,
    "Its training diverged, or the file is damaged: take weights of an earlier state.",
  );
}

/** Every type of the format, in bytes. */
const widths = {
  F32: 4,
  F16: 2,
  BF16: 2,
  F64: 8,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U64: 8,
  U32: 4,
  U16: 2,
  U8: 1,
  BOOL: 1,
};

/** The types that float32 holds exactly. */
const readers: Readonly<Record<string, (bytes: DataView, count: number) => Float32Array>> = {
  F32: (bytes, count) => Float32Array.from({ length: count }, (_, at) => bytes.getFloat32(4 * at, true)),
  F16: (bytes, count) => Float32Array.from({ length: count }, (_, at) => bytes.getFloat16(2 * at, true)),
  BF16: (bytes, count) => {
    const halves = Uint32Array.from({ length: count }, (_, at) => bytes.getUint16(2 * at, true) << 16);
    return new Float32Array(halves.buffer);
  },
};

function renamed(name: string, renaming: Renaming): string {
  const fitting = Object.keys(renaming).filter((beginning) => name.startsWith(beginning));
  const [longest] = fitting.sort((left, right) => right.length - left.length);
  return longest === undefined ? name : `${renaming[longest]}${name.slice(longest.length)}`;
}

const invalid = (message: string, hint: string): LockstepError => new LockstepError("WEIGHTS_INVALID", message, hint);
