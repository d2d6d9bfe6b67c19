/** The columns of a table: how many, their names where there is a header, which one is the target, and of what type the others are. */
import { invalid, parseNumber, placeOf, type Row } from "./csv-rows.ts";
import type { ColumnType, TableSpec } from "./spec.ts";

export interface Columns {
  readonly count: number;
  readonly names: readonly string[] | undefined;
  readonly target: number;
  /** The target's is without meaning. */
  readonly types: readonly ColumnType[];
}

/** A first row of names only is a header and one of numbers only is data; a mixed one would be a guess. */
export function hasHeader(row: Row, spec: TableSpec): boolean {
  if (spec.header !== undefined) return spec.header;
  if (typeof spec.target === "string") return true;
  const texts = row.cells.filter((cell) => Number.isNaN(parseNumber(cell)));
  if (texts.length === row.cells.length) return true;
  if (texts.length === 0) return false;
  throw invalid(
    placeOf(row),
    `the first row mixes numbers and text (${JSON.stringify(texts[0])}): it is neither a header nor data`,
    "Set data.header to true if it holds the columns' names, or to false if it is data.",
  );
}

/** What the first row and the spec say of the columns. */
export function columnsOf(row: Row, header: boolean, spec: TableSpec): Columns {
  const count = row.cells.length;
  const names = header ? row.cells.map((cell) => cell.trim()) : undefined;
  if (count < 2)
    throw invalid(
      placeOf(row),
      `expected a target and at least one feature, found ${count} column`,
      "Columns are separated by commas.",
    );
  const target = targetAmong(row, names, spec.target);
  const usual: ColumnType = spec.standardise === true ? "standard" : "number";
  const types = Array<ColumnType>(count).fill(usual);
  for (const [name, type] of Object.entries(spec.columns ?? {})) types[columnNamed(row, names, name)] = type;
  if (types.every((type, column) => column === target || type === "ignore"))
    throw invalid(placeOf(row), "every column but the target's is left out", "Leave some columns in data.columns.");
  return { count, names, target, types };
}

function targetAmong(row: Row, names: readonly string[] | undefined, target: string | number): number {
  const count = row.cells.length;
  if (typeof target === "number") {
    if (Number.isInteger(target) && target >= 0 && target < count) return target;
    throw invalid(
      placeOf(row),
      `the target is column ${target}, the file has ${count} columns`,
      `Set data.target to a number from 0 to ${count - 1}.`,
    );
  }
  if (names === undefined)
    throw invalid(
      placeOf(row),
      `the target is named ${JSON.stringify(target)}, but the file is read without a header`,
      "Set data.header to true, or data.target to the column's number, counted from 0.",
    );
  return placeAmong(row, names, target, "data.target to the target column's name");
}

/** A column of `data.columns`, by its name or its number. */
function columnNamed(row: Row, names: readonly string[] | undefined, name: string): number {
  const number = parseNumber(name);
  if (names?.includes(name) !== true && Number.isInteger(number) && number >= 0 && number < row.cells.length)
    return number;
  if (names !== undefined) return placeAmong(row, names, name, "the keys of data.columns to columns' names");
  throw invalid(
    placeOf(row),
    `data.columns names ${JSON.stringify(name)}, but the file is read without a header`,
    `Name columns by their number, from 0 to ${row.cells.length - 1}.`,
  );
}

function placeAmong(row: Row, names: readonly string[], name: string, what: string): number {
  const found = names.indexOf(name);
  if (found >= 0 && names.lastIndexOf(name) === found) return found;
  const some = names.length > 12 ? [...names.slice(0, 6), "…", ...names.slice(-5)] : names;
  throw invalid(
    placeOf(row),
    `${found < 0 ? "no column is" : "more than one column is"} named ${JSON.stringify(name)}; the columns are ${some.join(", ")}`,
    `Set ${what}, or to its number, counted from 0.`,
  );
}

export const describe = ({ count, names }: Columns): string =>
  `${count} columns ${names === undefined ? "without a header" : names.join(", ")}`;
