/** One sample for a trained model, from a file: a picture, a text, or a row of values. */

import { readFile } from "node:fs/promises";
import { extname } from "node:path";
import { LockstepError } from "../errors.ts";
import { product } from "../shape.ts";
import { invalid, parseNumber, placeOf, readRows } from "./csv-rows.ts";
import type { Dataset } from "./dataset.ts";
import { imageSample } from "./image.ts";
import { cellOf } from "./json-lines.ts";
import type { Encoders } from "./parts.ts";
import { unreadable } from "./unreadable.ts";
import { textOf } from "./utf8.ts";

/** What is known of the data that a model was trained on. */
export interface TrainedOn {
  readonly train: Pick<Dataset, "sampleShape" | "stored">;
  readonly encoders?: Encoders;
}

/**
 * The sample in `path` as float32 of the model's input, encoded as the training data was. Where that had no encoding of its own a
 * row's bytes are divided by 255, and an image is taken for one of a digit: it needs an input [height, width], [1, height, width]
 * or [n²]. Throws DATA_MISSING, DATA_INVALID or SHAPE_MISMATCH.
 */
export async function readSample(path: string, { train, encoders = {} }: TrainedOn): Promise<Float32Array> {
  const { sampleShape } = train;
  const fromRow = (row: readonly unknown[]): Float32Array =>
    rowSample(path, row, sampleShape, train.stored === "uint8" ? 255 : 1);
  const fromCells = (cells: readonly string[]): Float32Array =>
    encoders.row?.(cells, path) ?? fromRow(cells.map(numberIn));
  switch (extname(path).toLowerCase()) {
    case ".png": {
      const bytes = await readBytes(path);
      return encoders.image?.(bytes, path) ?? imageSample(path, bytes, sampleShape);
    }
    case ".json": {
      const row = await readJson(path);
      return encoders.row?.(row.map(cellOf), path) ?? fromRow(row);
    }
    case ".csv":
      return fromCells(encoders.row === undefined ? cellsOf(await readText(path)) : await onlyRow(path));
    case ".txt": {
      const bytes = await readBytes(path);
      return encoders.text?.(bytes, path) ?? fromCells(cellsOf(await textOf(path, bytes)));
    }
    default:
      throw invalid(path, "expected a file that ends in .png, .csv, .txt or .json", "Rename or convert the file.");
  }
}

async function readJson(path: string): Promise<unknown[]> {
  const text = await readText(path);
  try {
    const row: unknown = JSON.parse(text);
    return Array.isArray(row) ? row.flat(Infinity) : [row];
  } catch (cause) {
    throw invalid(path, String(cause), "Give an array of numbers, such as [0, 0.5, 1].");
  }
}

/** The row of a comma-separated file, read as training data is: its cells may be texts, with spaces and in quotes. */
async function onlyRow(path: string): Promise<readonly string[]> {
  let only: readonly string[] = [];
  for await (const row of readRows(path)) {
    if (only.length > 0)
      throw invalid(placeOf(row), "expected one row, found a second one", "Give one sample a file, without a header.");
    only = row.cells;
  }
  return only;
}

/** What is between commas, spaces or line breaks; two commas with nothing between them are a missing value. */
const cellsOf = (text: string): string[] => text.trim().split(/\s*,\s*|\s+/);

/** The number in a cell, or the cell where it is none. */
function numberIn(cell: string): unknown {
  const value = parseNumber(cell);
  return Number.isNaN(value) ? cell : value;
}

function rowSample(path: string, row: readonly unknown[], sampleShape: readonly number[], scale: number): Float32Array {
  const numbers = row.map((value, index) => {
    const number = typeof value === "number" ? Math.fround(value / scale) : NaN;
    if (Number.isFinite(number)) return number;
    throw invalid(path, `value ${index + 1} is ${JSON.stringify(value)}, expected a number`, "Correct that value.");
  });
  const expected = product(sampleShape);
  if (numbers.length !== expected)
    throw new LockstepError(
      "SHAPE_MISMATCH",
      `${path}: expected ${expected} values for the model's input [${sampleShape.join(", ")}], found ${numbers.length}`,
      "Give one value per input, without the target.",
    );
  return Float32Array.from(numbers);
}

const readText = async (path: string): Promise<string> => textOf(path, await readBytes(path));

async function readBytes(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw unreadable(path, cause);
  }
}
