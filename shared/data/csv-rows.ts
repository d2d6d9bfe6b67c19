/** The rows and cells of a comma-separated file; every error names file:line and the column, both counted from 1. */

import { pipeline } from "node:stream";
import { CsvError, parse, type Info } from "csv-parse";
import { errnoOf } from "../errno.ts";
import { LockstepError } from "../errors.ts";
import { unreadable } from "./unreadable.ts";
import { piecesOfText } from "./utf8.ts";

/** One row as text, and the line of the file it ends on. */
export interface Row {
  readonly path: string;
  readonly line: number;
  readonly cells: readonly string[];
}

/** Every row that is not empty. Throws DATA_MISSING, or DATA_INVALID for quotes that do not match and text that is not UTF-8. */
export async function* readRows(path: string): AsyncGenerator<Row> {
  try {
    for await (const { info, record } of parsed(path)) yield { path, line: info.lines, cells: record };
  } catch (cause) {
    if (cause instanceof CsvError) throw await misquoted(path, cause);
    throw cause instanceof LockstepError || errnoOf(cause) === undefined ? cause : unreadable(path, cause);
  }
}

/** @param most rows that are read; absent: all */
function parsed(path: string, most = -1): AsyncIterable<{ readonly info: Info; readonly record: string[] }> {
  // Rows of unequal length and text that is no number are let through here, to be refused with a better message.
  const parser = parse({ bom: true, info: true, relax_column_count: true, skip_empty_lines: true, to: most });
  // The parser passes a failure of the file on to whoever reads its rows, so the callback has nothing to add.
  pipeline(piecesOfText(path), parser, () => {});
  return parser;
}

async function misquoted(path: string, cause: CsvError): Promise<LockstepError> {
  const refusal = (line: number, message: string): LockstepError =>
    new LockstepError("DATA_INVALID", `${path}:${line}: ${message}`, "Correct the quotes in that row.", { cause });
  const { lines, records, empty_lines: empty } = cause as CsvError & Info;
  if (cause.code !== "CSV_QUOTE_NOT_CLOSED") return refusal(lines, cause.message);
  // That is found at the end of the file, all of which the open row has taken.
  let begin = 1 + empty;
  if (records > 0)
    for await (const { info } of parsed(path, records)) begin = info.lines + 1 + empty - info.empty_lines;
  return refusal(begin, "a quote is opened in the row that begins here, and not closed");
}

/**
 * A cell divided by `scale`, within what float32 holds but not rounded to it: what is standardised may differ in later digits alone.
 * `forTexts` says what to do where all cells of the column are texts.
 */
export function numberAt(
  row: Row,
  column: number,
  names: readonly string[] | undefined,
  scale: number,
  forTexts = "for a column of texts set its type to category in data.columns.",
): number {
  const cell = row.cells[column]!;
  const value = parseNumber(cell) / scale;
  if (Number.isFinite(Math.fround(value))) return value;
  throw invalid(
    placeOf(row, column, names),
    `expected a number, found ${shown(cell)}`,
    isText(cell) ? `Correct the cell or remove the row; ${forTexts}` : "Correct the cell or remove the row.",
  );
}

/** A cell as a label 0..classes-1. */
export function labelAt(row: Row, column: number, names: readonly string[] | undefined, classes: number): number {
  const cell = row.cells[column]!;
  const label = parseNumber(cell);
  if (Number.isInteger(label) && label >= 0 && label < classes) return label;
  throw invalid(
    placeOf(row, column, names),
    `expected a label from 0 to ${classes - 1}, found ${shown(cell)}`,
    isText(cell)
      ? "Correct the label; for labels that are texts list them in data.classes."
      : "Correct the label, or set data.classes to the number of classes.",
  );
}

/** The decimal number a text holds, or NaN. `Number` alone takes an empty cell for 0 and reads 0x10, 0b1 and 0o7. */
export function parseNumber(cell: string): number {
  const value = Number(cell);
  return value === 0 ? (/\d/.test(cell) && !/[xob]/i.test(cell) ? 0 : NaN) : /^\s*0[xob]/i.test(cell) ? NaN : value;
}

/** Whether a cell is neither a number, however written, nor empty. */
const isText = (cell: string): boolean =>
  Number.isNaN(parseNumber(cell)) && cell.trim() !== "" && !/^(nan|[+-]?inf(inity)?)$/i.test(cell.trim());

const shown = (cell: string): string =>
  cell.trim() === "" ? "an empty cell" : JSON.stringify(cell.length > 40 ? `${cell.slice(0, 40)}…` : cell);

/** Where a row or a cell of it is, for a message. */
export const placeOf = (row: Row, column?: number, names?: readonly string[]): string => {
  if (column === undefined) return `${row.path}:${row.line}`;
  const name = names?.[column];
  return `${row.path}:${row.line}: column ${column + 1}${name === undefined ? "" : ` (${name})`}`;
};

/** DATA_INVALID at a place in a file. */
export const invalid = (place: string, message: string, hint: string): LockstepError =>
  new LockstepError("DATA_INVALID", `${place}: ${message}`, hint);
