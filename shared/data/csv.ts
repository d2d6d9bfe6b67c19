/**
 * Comma-separated files as a dataset: one row a sample, one column the target, all others features. Rows are read as a
 * stream, so a file larger than a string can be is no problem. Every error names file:line and the column (both from 1).
 */

import { invalid, labelAt, numberAt, parseNumber, placeOf, readRows, type Row } from "./csv-rows.ts";
import { createDataset, type Dataset } from "./dataset.ts";
import type { DataSpec } from "./spec.ts";
import type { TargetSpec } from "./target.ts";

type CsvSpec = Extract<DataSpec, { kind: "csv" }>;

/** The columns of one file: how many, their names where there is a header, and which one is the target. */
interface Columns {
  readonly count: number;
  readonly names: readonly string[] | undefined;
  readonly target: number;
}

/** Samples [columns - 1]; targets are labels where `classes` is given, else values of width 1. Throws DATA_MISSING or DATA_INVALID. */
export async function openCsv(spec: CsvSpec): Promise<{ train: Dataset; test?: Dataset }> {
  const train = await readPart(spec.train, spec);
  if (spec.test === undefined) return { train: train.dataset };
  const test = await readPart(spec.test, spec);
  const [expected, found] = [describe(train.columns), describe(test.columns)];
  if (expected !== found)
    throw invalid(
      `${spec.test}:1`,
      `expected ${expected}, as in ${spec.train}; found ${found}`,
      "Both files need the same columns.",
    );
  return { train: train.dataset, test: test.dataset };
}

async function readPart(path: string, spec: CsvSpec): Promise<{ dataset: Dataset; columns: Columns }> {
  const target: TargetSpec =
    spec.classes === undefined ? { kind: "values", width: 1 } : { kind: "class", classes: spec.classes };
  const scale = spec.scale ?? 1;
  let columns: Columns | undefined;
  let features = new Float32Array(0);
  const targets: number[] = [];
  for await (const row of readRows(path)) {
    if (columns === undefined) {
      const header = hasHeader(row, spec);
      columns = columnsOf(row, header, spec.target);
      if (header) continue;
    }
    const { count, names, target: targetColumn } = columns;
    if (row.cells.length !== count)
      throw invalid(
        placeOf(row),
        `expected ${count} columns, as in the first row, found ${row.cells.length}`,
        "Complete the row or remove it.",
      );
    let next = targets.length * (count - 1);
    if (next + count > features.length) {
      const larger = new Float32Array(2 * (next + count));
      larger.set(features);
      features = larger;
    }
    for (let column = 0; column < count; column++)
      if (column !== targetColumn) features[next++] = numberAt(row, column, names, scale);
    targets.push(
      target.kind === "class"
        ? labelAt(row, targetColumn, names, target.classes)
        : numberAt(row, targetColumn, names, 1),
    );
  }
  if (columns === undefined || targets.length === 0)
    throw invalid(`${path}:1`, "expected at least one row of data, found none", "Check that this is the right file.");
  const width = columns.count - 1;
  const dataset = createDataset({
    sampleShape: [width],
    target,
    features: features.subarray(0, targets.length * width),
    targets: target.kind === "class" ? Int32Array.from(targets) : Float32Array.from(targets),
  });
  return { dataset, columns };
}

/** A first row of names only is a header and one of numbers only is data; a mixed one would be a guess. */
function hasHeader(row: Row, spec: CsvSpec): boolean {
  if (spec.header !== undefined) return spec.header;
  if (typeof spec.target === "string") return true;
  const texts = row.cells.filter((cell) => Number.isNaN(parseNumber(cell)));
  if (texts.length === row.cells.length) return true;
  if (texts.length === 0) return false;
  throw invalid(
    placeOf(row),
    `the first row mixes numbers and text (${JSON.stringify(texts[0])}): it is neither a header nor data`,
    "Set data.header to true if it holds the columns' names, or correct it.",
  );
}

function columnsOf(row: Row, header: boolean, target: string | number): Columns {
  const count = row.cells.length;
  const names = header ? row.cells.map((cell) => cell.trim()) : undefined;
  if (count < 2)
    throw invalid(
      placeOf(row),
      `expected a target and at least one feature, found ${count} column`,
      "Columns are separated by commas.",
    );
  if (typeof target === "number") {
    if (!Number.isInteger(target) || target < 0 || target >= count)
      throw invalid(
        placeOf(row),
        `the target is column ${target}, the file has ${count} columns`,
        `Set data.target to a number from 0 to ${count - 1}.`,
      );
    return { count, names, target };
  }
  if (names === undefined)
    throw invalid(
      placeOf(row),
      `the target is named ${JSON.stringify(target)}, but the file is read without a header`,
      "Set data.header to true, or data.target to the column's number, counted from 0.",
    );
  const found = names.indexOf(target);
  if (found < 0 || names.lastIndexOf(target) !== found) {
    const some = names.length > 12 ? [...names.slice(0, 6), "…", ...names.slice(-5)] : names;
    throw invalid(
      placeOf(row),
      `${found < 0 ? "no column is" : "more than one column is"} named ${JSON.stringify(target)}; the columns are ${some.join(", ")}`,
      "Set data.target to the target column's name, or to its number, counted from 0.",
    );
  }
  return { count, names, target: found };
}

const describe = ({ count, names }: Columns): string =>
  `${count} columns ${names === undefined ? "without a header" : names.join(", ")}`;
