/**
 * Rows of typed columns as a dataset: one row a sample, one column the target, all others features. What is fitted (categories, mean
 * and deviation) is fitted on the training file, the latter without the samples that are held out of it.
 */
import { invalid, labelAt, numberAt, placeOf, type Row } from "./csv-rows.ts";
import { columnsOf, describe, hasHeader, type Columns } from "./columns.ts";
import { createDataset, type Dataset } from "./dataset.ts";
import { fitEncoding, widthOf, type Encoding } from "./encoding.ts";
import type { Destination } from "./files.ts";
import type { Parts } from "./parts.ts";
import { split, type Reading } from "./reading.ts";
import { FeatureSink } from "./sink.ts";
import type { TableSpec } from "./spec.ts";
import type { TargetSpec } from "./target.ts";

/** Reads the rows of a file, the header among them. */
export type ReadRows = (path: string) => AsyncIterable<Row>;

/** Samples [values]; targets are labels where `classes` is given, else values of width 1. Throws DATA_MISSING or DATA_INVALID. */
export async function openTable(spec: TableSpec, reading: Reading & Destination, readRows: ReadRows): Promise<Parts> {
  const table = { spec, readRows };
  const columns = await columnsIn(table, spec.train);
  const encoding = await fitEncoding(
    columns,
    spec,
    () => rowsOf(table, spec.train, columns),
    (samples) => heldOf(samples, reading),
  );
  const train = await encoded(table, spec.train, columns, encoding, reading);
  const parts = {
    train,
    ...(typeof spec.classes === "object" && { classNames: spec.classes }),
    encoders: { row: (cells: readonly string[], place: string) => encodeCells(cells, place, columns, encoding) },
  };
  if (spec.test === undefined) return parts;
  const ofTest = await columnsIn(table, spec.test);
  const [expected, found] = [describe(columns), describe(ofTest)];
  if (expected !== found)
    throw invalid(
      `${spec.test}:1`,
      `expected ${expected}, as in ${spec.train}; found ${found}`,
      "Both files need the same columns.",
    );
  return { ...parts, test: await encoded(table, spec.test, ofTest, encoding, reading) };
}

interface Table {
  readonly spec: TableSpec;
  readonly readRows: ReadRows;
}

/** Which samples of the training file are held out. */
function heldOf(samples: number, reading: Reading): (sample: number) => boolean {
  const held = new Set(split(samples, reading).held);
  return (sample) => held.has(sample);
}

async function columnsIn({ spec, readRows }: Table, path: string): Promise<Columns> {
  for await (const row of readRows(path)) return columnsOf(row, hasHeader(row, spec), spec);
  throw invalid(`${path}:1`, "expected at least one row of data, found none", "Check that this is the right file.");
}

/** The rows of data, each as wide as the first. */
async function* rowsOf({ readRows }: Table, path: string, columns: Columns): AsyncGenerator<Row> {
  let isFirst = true;
  for await (const row of readRows(path)) {
    if (isFirst && columns.names !== undefined) {
      isFirst = false;
      continue;
    }
    isFirst = false;
    if (row.cells.length !== columns.count)
      throw invalid(
        placeOf(row),
        `expected ${columns.count} columns, as in the first row, found ${row.cells.length}`,
        "Complete the row or remove it.",
      );
    yield row;
  }
}

async function encoded(
  table: Table,
  path: string,
  columns: Columns,
  encoding: Encoding,
  to: Destination,
): Promise<Dataset> {
  const { classes } = table.spec;
  const width = widthOf(encoding);
  const sink = new FeatureSink("float32", to);
  const values = new Float32Array(width);
  const targets: number[] = [];
  for await (const row of rowsOf(table, path, columns)) {
    let at = 0;
    for (const column of encoding) at = column.write(row, values, at);
    sink.append(values);
    targets.push(targetOf(row, columns, classes));
  }
  if (targets.length === 0)
    throw invalid(`${path}:1`, "expected at least one row of data, found none", "Check that this is the right file.");
  const target: TargetSpec =
    classes === undefined
      ? { kind: "values", width: 1 }
      : { kind: "class", classes: typeof classes === "number" ? classes : classes.length };
  return createDataset({
    sampleShape: [width],
    target,
    features: sink.finish(width),
    targets: target.kind === "class" ? Int32Array.from(targets) : Float32Array.from(targets),
  });
}

function targetOf(row: Row, { target, names }: Columns, classes: TableSpec["classes"]): number {
  if (classes === undefined) return numberAt(row, target, names, 1, "for a target of texts list them in data.classes.");
  if (typeof classes === "number") return labelAt(row, target, names, classes);
  const label = classes.indexOf(row.cells[target]!.trim());
  if (label >= 0) return label;
  throw invalid(
    placeOf(row, target, names),
    `expected one of ${classes.join(", ")}, found ${JSON.stringify(row.cells[target])}`,
    "Correct the label, or name it in data.classes.",
  );
}

/** One sample's cells, without the target's, as the training data was encoded. */
function encodeCells(
  cells: readonly string[],
  place: string,
  { count, target }: Columns,
  encoding: Encoding,
): Float32Array {
  if (cells.length !== count - 1)
    throw invalid(
      place,
      `expected ${count - 1} values, one for each column but the target's, found ${cells.length}`,
      "Give one value a column.",
    );
  const row: Row = { path: place, line: 1, cells: cells.toSpliced(target, 0, "") };
  const values = new Float32Array(widthOf(encoding));
  let at = 0;
  for (const column of encoding) at = column.write(row, values, at);
  return values;
}
