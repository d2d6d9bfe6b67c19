/**
 * The safetensors format (https://github.com/huggingface/safetensors, "Format"): an unsigned 64-bit little-endian header
 * length, a JSON header, then the tensors' bytes, little-endian, row-major, without holes. Here every tensor is F32, and the
 * header is padded with spaces so that the data starts at a multiple of 8. Decoding trusts nothing it reads.
 */

import { LockstepError } from "../errors.ts";
import { product } from "../shape.ts";

/** A tensor; `values` are its numbers row by row. */
export interface Tensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

export interface SafetensorsContent {
  readonly tensors: readonly Tensor[];
  readonly metadata: Readonly<Record<string, string>>;
}

/** The format's own limit: a longer header is refused before it is parsed. */
const headerLimit = 100_000_000;

/** A tensor's shape is a list in an object in the header; what is nested deeper than this would exhaust the stack. */
const deepest = 8;

/** The file's bytes; metadata comes first in the header, tensors lie in the order given. */
export function encodeSafetensors({ tensors, metadata }: SafetensorsContent): Uint8Array {
  const header = new Map<string, unknown>([["__metadata__", metadata]]);
  let end = 0;
  for (const { name, shape, values } of tensors) {
    if (header.has(name)) throw new RangeError(`two tensors are named ${name}`);
    if (values.length !== product(shape))
      throw new RangeError(`${name} [${shape.join(", ")}] has ${values.length} values`);
    header.set(name, { dtype: "F32", shape, data_offsets: [end, (end += values.byteLength)] });
  }
  const json = new TextEncoder().encode(jsonObject(header));
  const dataStart = Math.ceil((8 + json.length) / 8) * 8;
  const bytes = new Uint8Array(dataStart + end).fill(0x20, 8, dataStart);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(dataStart - 8), true);
  bytes.set(json, 8);
  let at = dataStart;
  for (const { values } of tensors) {
    bytes.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), at);
    at += values.byteLength;
  }
  return bytes;
}

/**
 * The tensors, in the order of their bytes, and the metadata. Values are views of `bytes` where its alignment allows.
 * `source` is what errors call the file. Throws CHECKPOINT_DAMAGED for anything but a whole, well-formed file of F32 tensors.
 */
export function decodeSafetensors(bytes: Uint8Array, source: string): SafetensorsContent {
  const damaged = (reason: string): LockstepError =>
    new LockstepError("CHECKPOINT_DAMAGED", `${source} is damaged: ${reason}`, "Use another checkpoint.");
  const { placed, metadata, dataStart } = placesIn(bytes, { F32: 4 }, damaged);
  // A copy of the whole data only where it does not start at a multiple of 4 in memory.
  const aligned = (bytes.byteOffset + dataStart) % 4 === 0 ? bytes.subarray(dataStart) : bytes.slice(dataStart);
  const tensors = placed.map(({ name, shape, begin }) => ({
    name,
    shape,
    values: new Float32Array(aligned.buffer, aligned.byteOffset + begin, product(shape)),
  }));
  return { tensors, metadata };
}

/** A tensor's type and place in the data, `begin` to `end`. */
interface Placed {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

/** Where the tensors are, in the order of their bytes; checked, and without holes. `widths`: the types that may be there, and their bytes. */
export function placesIn(
  bytes: Uint8Array,
  widths: Readonly<Record<string, number>>,
  damaged: Damaged,
): {
  readonly placed: readonly Placed[];
  readonly metadata: SafetensorsContent["metadata"];
  readonly dataStart: number;
} {
  const { text, dataStart } = readHeader(bytes, damaged);
  const { __metadata__: metadata = {}, ...entries } = parseHeader(text, damaged);
  if (!isStringMap(metadata)) throw damaged("__metadata__ is no map of texts");

  const placed = Object.entries(entries).map(([name, entry]) => ({ name, ...placeOf(name, entry, widths, damaged) }));
  placed.sort((left, right) => left.begin - right.begin || left.end - right.end);
  let end = 0;
  for (const tensor of placed) {
    if (tensor.begin !== end)
      throw damaged(`tensor ${tensor.name} starts at byte ${tensor.begin} of the data, expected ${end}`);
    end = tensor.end;
  }
  const found = bytes.length - dataStart;
  if (found !== end) throw damaged(`the tensors need ${end} bytes, found ${found}`);
  return { placed, metadata, dataStart };
}

export type Damaged = (reason: string) => LockstepError;

function readHeader(bytes: Uint8Array, damaged: Damaged): { text: string; dataStart: number } {
  if (bytes.length < 8) throw damaged(`expected at least 8 bytes, found ${bytes.length}`);
  const length = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
  if (length > headerLimit) throw damaged(`a header of ${length} bytes is longer than the limit of ${headerLimit}`);
  const dataStart = 8 + Number(length);
  if (dataStart > bytes.length) throw damaged(`the header needs ${length} bytes, found ${bytes.length - 8}`);
  if (bytes[8] !== 0x7b) throw damaged("the header does not start with {");
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(8, dataStart));
    return { text, dataStart };
  } catch {
    throw damaged("the header is no UTF-8 text");
  }
}

function parseHeader(text: string, damaged: Damaged): Record<string, unknown> {
  // What starts with { is an object, or no JSON.
  let header: Record<string, unknown>;
  try {
    header = JSON.parse(text);
  } catch (cause) {
    throw damaged(`the header is no JSON: ${String(cause)}`);
  }
  const keys = countKeys(header, 1);
  if (keys === undefined) throw damaged(`the header is nested more than ${deepest} deep`);
  // JSON.parse keeps the last of two equal keys; every key has one colon outside texts, so a lost one shows in the count.
  if (countColons(text) !== keys) throw damaged("the header has the same key twice");
  return header;
}

function placeOf(
  name: string,
  entry: unknown,
  widths: Readonly<Record<string, number>>,
  damaged: Damaged,
): Omit<Placed, "name"> {
  if (!isObject(entry)) throw damaged(`tensor ${name} is no JSON object`);
  const { dtype, shape, data_offsets: offsets, ...others } = entry;
  const [other] = Object.keys(others);
  if (other !== undefined) throw damaged(`tensor ${name} has the unknown field ${other}`);
  if (typeof dtype !== "string" || !Object.hasOwn(widths, dtype)) {
    const known = Object.keys(widths).map((type) => JSON.stringify(type));
    throw damaged(`tensor ${name} has the type ${JSON.stringify(dtype)}, expected ${known.join(", ")}`);
  }
  if (!isCounts(shape)) throw damaged(`tensor ${name} has the shape ${JSON.stringify(shape)}`);
  if (!isCounts(offsets) || offsets.length !== 2)
    throw damaged(`tensor ${name} has the offsets ${JSON.stringify(offsets)}`);
  const [begin = 0, end = 0] = offsets;
  if (end - begin !== widths[dtype]! * product(shape))
    throw damaged(`tensor ${name} [${shape.join(", ")}] has the offsets ${begin} to ${end}`);
  return { dtype, shape, begin, end };
}

/** JSON of an object with these keys in this order; an object literal would move keys that look like numbers to the front. */
const jsonObject = (entries: ReadonlyMap<string, unknown>): string =>
  `{${Array.from(entries, ([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join(",")}}`;

/** The keys of all objects in a value that is so deep in others; undefined where there are values too deep. */
function countKeys(value: unknown, depth: number): number | undefined {
  if (typeof value !== "object" || value === null) return 0;
  if (depth > deepest) return undefined;
  const items: unknown[] = Object.values(value);
  let keys = Array.isArray(value) ? 0 : items.length;
  for (const item of items) {
    const within = countKeys(item, depth + 1);
    if (within === undefined) return undefined;
    keys += within;
  }
  return keys;
}

/** Colons outside texts in a JSON text, of which each text may be longer than a regular expression can match. */
function countColons(json: string): number {
  let colons = 0;
  let isText = false;
  for (let at = 0; at < json.length; at++) {
    if (json[at] === '"') isText = !isText;
    // Of what is escaped none ends a text.
    else if (json[at] === "\\") at += 1;
    else if (json[at] === ":" && !isText) colons += 1;
  }
  return colons;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const isStringMap = (value: unknown): value is Record<string, string> =>
  isObject(value) && Object.values(value).every((item) => typeof item === "string");

const isCounts = (value: unknown): value is readonly number[] =>
  Array.isArray(value) && value.every((count) => Number.isSafeInteger(count) && count >= 0);
