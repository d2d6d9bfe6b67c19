/**
 * Samples in a safetensors file: the tensors `features` [samples, …], F32 or U8, and `targets` [samples] or [samples, width], F32, I32,
 * I64 or U8. Features that are too large for memory stay in the file.
 */
import { z } from "zod";
import { product } from "../shape.ts";
import { createDataset, type Dataset } from "./dataset.ts";
import { featuresOf, invalidFile, partOfFile, sizeOfFile, type Destination } from "./files.ts";
import type { Parts } from "./parts.ts";
import type { SpecOf } from "./spec.ts";
import { targetsFrom } from "./targets.ts";

/** A header is a few hundred bytes; a longer one is no data set's. */
const HEADER_LIMIT = 1_000_000;

const count = z.int().nonnegative();
const tensor = z.object({
  dtype: z.string(),
  shape: z.array(count),
  data_offsets: z.tuple([count, count]),
});
type Entry = z.infer<typeof tensor>;

const typeBytes: Readonly<Record<string, number>> = { F32: 4, U8: 1, I32: 4, I64: 8 };

/** Throws DATA_MISSING or DATA_INVALID. */
export async function openSafetensors(spec: SpecOf<"safetensors">, to: Destination): Promise<Parts> {
  const train = await part(spec.train, spec.classes, to);
  if (spec.test === undefined) return { train };
  return { train, test: await part(spec.test, spec.classes, to) };
}

async function part(path: string, classes: number | undefined, to: Destination): Promise<Dataset> {
  const { entries, dataStart } = await headerOf(path);
  const features = entryOf(path, entries, "features", ["F32", "U8"]);
  const targets = entryOf(path, entries, "targets", ["F32", "I32", "I64", "U8"]);
  const size = await sizeOfFile(path);
  const end = dataStart + Math.max(features.data_offsets[1], targets.data_offsets[1]);
  if (size < end)
    throw invalidFile(path, `the tensors need ${end} bytes, found ${size}`, "Write the file again; it was cut short.");
  const [samples = 0, ...sampleShape] = features.shape;
  if (samples === 0 || sampleShape.length === 0 || targets.shape[0] !== samples)
    throw invalidFile(
      path,
      `features [${features.shape.join(", ")}] and targets [${targets.shape.join(", ")}] do not belong together`,
      "Features are [samples, …] with one target, or one row of targets, a sample.",
    );
  const width = product(sampleShape);
  const stored = features.dtype === "U8" ? "uint8" : "float32";
  const stride = width * (stored === "uint8" ? 1 : 4);
  const record = { path, stored, offset: dataStart + features.data_offsets[0], stride, samples } as const;
  const [first, last] = targets.data_offsets;
  const numbers = numbersIn(targets, await partOfFile(path, dataStart + first, dataStart + last));
  const nameOf = (sample: number): string => `row ${sample} of ${path}`;
  const { target, array } = targetsFrom(numbers, product(targets.shape.slice(1)), classes, nameOf);
  return createDataset({ sampleShape, target, features: featuresOf([record], width, to), targets: array }, nameOf);
}

async function headerOf(path: string): Promise<{ entries: Record<string, unknown>; dataStart: number }> {
  const again = "Write the file again with a safetensors library.";
  const start = await partOfFile(path, 0, 8);
  const length = start.length < 8 ? 0n : start.readBigUInt64LE(0);
  if (length < 2n || length > BigInt(HEADER_LIMIT))
    throw invalidFile(path, `no safetensors file: it would have a header of ${length} bytes`, again);
  const dataStart = 8 + Number(length);
  const bytes = await partOfFile(path, 8, dataStart);
  try {
    return {
      entries: z.record(z.string(), z.unknown()).parse(JSON.parse(bytes.toString("utf8"))),
      dataStart,
    };
  } catch (cause) {
    throw invalidFile(
      path,
      `the header is not readable: ${cause instanceof SyntaxError ? cause.message : "no map of tensors"}`,
      again,
    );
  }
}

function entryOf(path: string, entries: Record<string, unknown>, name: string, types: readonly string[]): Entry {
  const names = Object.keys(entries).filter((each) => each !== "__metadata__");
  const parsed = tensor.safeParse(entries[name]);
  if (!parsed.success)
    throw invalidFile(
      path,
      `no tensor is named ${name}; there are ${names.join(", ")}`,
      "A data set has the tensors features and targets.",
    );
  const {
    dtype,
    shape,
    data_offsets: [begin, end],
  } = parsed.data;
  if (!types.includes(dtype))
    throw invalidFile(
      path,
      `${name} has the type ${dtype}, expected one of ${types.join(", ")}`,
      "Convert the tensor.",
    );
  if (end - begin !== product(shape) * typeBytes[dtype]!)
    throw invalidFile(
      path,
      `${name} [${shape.join(", ")}] of ${dtype} has the offsets ${begin} to ${end}`,
      "Write the file again.",
    );
  return parsed.data;
}

function numbersIn({ dtype, shape }: Entry, bytes: Buffer): Float32Array {
  const read = (at: number): number => {
    switch (dtype) {
      case "F32":
        return bytes.readFloatLE(4 * at);
      case "I32":
        return bytes.readInt32LE(4 * at);
      case "I64":
        return Number(bytes.readBigInt64LE(8 * at));
      default:
        return bytes[at]!;
    }
  };
  return Float32Array.from({ length: product(shape) }, (_, at) => read(at));
}
