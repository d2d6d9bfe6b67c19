/** One sample for a trained model, from a file: a picture of a digit, or a row of values. */

import { readFile } from "node:fs/promises";
import { extname } from "node:path";
import { LockstepError } from "../errors.ts";
import { invalid, parseNumber } from "./csv-rows.ts";
import { imageSample } from "./image.ts";
import { unreadable } from "./unreadable.ts";

/**
 * The sample in `path` as float32 of `sampleShape`. A row of values is divided by `scale` as the training data was (1 for none), or
 * encoded as its columns were;
 * an image needs a shape [height, width], [1, height, width] or [n²]. Throws DATA_MISSING, DATA_INVALID or SHAPE_MISMATCH.
 */
export async function readSample(
  path: string,
  sampleShape: readonly number[],
  scale: number,
  encode?: (cells: readonly string[], place: string) => Float32Array,
): Promise<Float32Array> {
  const fromRow = (row: readonly unknown[]): Float32Array =>
    encode === undefined ? rowSample(path, row, sampleShape, scale) : encode(row.map(String), path);
  switch (extname(path).toLowerCase()) {
    case ".png":
      return imageSample(path, await readBytes(path), sampleShape);
    case ".json":
      return fromRow(await readJson(path));
    case ".csv":
    case ".txt":
      return fromRow(await readText(path));
    default:
      throw invalid(path, "expected a file that ends in .png, .csv, .txt or .json", "Rename or convert the file.");
  }
}

async function readJson(path: string): Promise<unknown[]> {
  const text = new TextDecoder().decode(await readBytes(path));
  try {
    const row: unknown = JSON.parse(text);
    return Array.isArray(row) ? row.flat(Infinity) : [row];
  } catch (cause) {
    throw invalid(path, String(cause), "Give an array of numbers, such as [0, 0.5, 1].");
  }
}

/** Numbers between commas, spaces or line breaks; two commas with nothing between them are a missing value. */
async function readText(path: string): Promise<unknown[]> {
  const text = new TextDecoder().decode(await readBytes(path));
  return text
    .trim()
    .split(/\s*,\s*|\s+/)
    .map((cell) => {
      const value = parseNumber(cell);
      return Number.isNaN(value) ? cell : value;
    });
}

function rowSample(path: string, row: readonly unknown[], sampleShape: readonly number[], scale: number): Float32Array {
  const numbers = row.map((value, index) => {
    const number = typeof value === "number" ? Math.fround(value / scale) : NaN;
    if (Number.isFinite(number)) return number;
    throw invalid(path, `value ${index + 1} is ${JSON.stringify(value)}, expected a number`, "Correct that value.");
  });
  const expected = sampleShape.reduce((size, length) => size * length, 1);
  if (numbers.length !== expected)
    throw new LockstepError(
      "SHAPE_MISMATCH",
      `${path}: expected ${expected} values for the model's input [${sampleShape.join(", ")}], found ${numbers.length}`,
      "Give one value per input, without the target.",
    );
  return Float32Array.from(numbers);
}

async function readBytes(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw unreadable(path, cause);
  }
}
