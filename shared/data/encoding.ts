/** How the columns of a table become values, and what is fitted for it: the categories of a column, its mean and its deviation. */
import type { Columns } from "./columns.ts";
import { invalid, numberAt, placeOf, type Row } from "./csv-rows.ts";
import type { TableSpec } from "./spec.ts";

/** More categories are usually names or numbers of things, which say nothing about other ones. */
const MOST_CATEGORIES = 1000;

interface EncodedColumn {
  readonly width: number;
  /** Writes the row's cell as `width` values from `at` on; returns the place behind them. */
  readonly write: (row: Row, values: Float32Array, at: number) => number;
}

/** The columns that are features, in their order. */
export type Encoding = readonly EncodedColumn[];

export const widthOf = (encoding: Encoding): number => encoding.reduce((sum, { width }) => sum + width, 0);

/**
 * Fits the encoding of a table. @param rows reads its rows, once for what is fitted on all and once more for what is not fitted on
 * samples held out. @param heldAmong which of so many samples are held out
 */
export async function fitEncoding(
  columns: Columns,
  spec: TableSpec,
  rows: () => AsyncIterable<Row>,
  heldAmong: (samples: number) => (sample: number) => boolean,
): Promise<Encoding> {
  const { names, target, types } = columns;
  const ofType = (type: string): number[] =>
    types.flatMap((each, column) => (each === type && column !== target ? [column] : []));
  const [categories, standard] = [ofType("category"), ofType("standard")];
  const found = new Map(categories.map((column) => [column, new Set<string>()]));
  let samples = 0;
  if (categories.length + standard.length > 0)
    for await (const row of rows()) {
      samples += 1;
      for (const [column, texts] of found) collect(row, column, names, texts);
    }
  const moments = new Map(standard.map((column) => [column, { mean: 0, squares: 0, count: 0 }]));
  if (standard.length > 0) {
    const isHeld = heldAmong(samples);
    let sample = 0;
    for await (const row of rows()) {
      if (!isHeld(sample++))
        for (const [column, moment] of moments) note(moment, numberAt(row, column, names, spec.scale ?? 1));
    }
  }
  return types.flatMap((type, column): EncodedColumn[] => {
    if (column === target || type === "ignore") return [];
    if (type === "category") return [oneHot(column, names, [...found.get(column)!].sort(byCharacters))];
    const { mean, squares, count } = moments.get(column) ?? { mean: 0, squares: 1, count: 1 };
    // A column that is the same everywhere becomes zeros.
    const deviation = squares > 0 ? Math.sqrt(squares / count) : 1;
    return [numeric(column, names, spec.scale ?? 1, mean, deviation)];
  });
}

/** In the order of their characters' numbers, which no locale changes. */
const byCharacters = (left: string, right: string): number => (left < right ? -1 : left > right ? 1 : 0);

function collect(row: Row, column: number, names: readonly string[] | undefined, texts: Set<string>): void {
  texts.add(row.cells[column]!.trim());
  if (texts.size <= MOST_CATEGORIES) return;
  throw invalid(
    placeOf(row, column, names),
    `the column has more than ${MOST_CATEGORIES} categories`,
    "Set it to ignore in data.columns, or to number if it is one.",
  );
}

/** Welford's running mean and sum of squared differences, 1962. */
function note(moment: { mean: number; squares: number; count: number }, value: number): void {
  moment.count += 1;
  const before = value - moment.mean;
  moment.mean += before / moment.count;
  moment.squares += before * (value - moment.mean);
}

const numeric = (
  column: number,
  names: readonly string[] | undefined,
  scale: number,
  mean: number,
  deviation: number,
): EncodedColumn => ({
  width: 1,
  write(row, values, at) {
    values[at] = (numberAt(row, column, names, scale) - mean) / deviation;
    return at + 1;
  },
});

const oneHot = (
  column: number,
  names: readonly string[] | undefined,
  categories: readonly string[],
): EncodedColumn => ({
  width: categories.length,
  write(row, values, at) {
    const text = row.cells[column]!.trim();
    const place = categories.indexOf(text);
    if (place < 0) {
      const some = categories.length > 12 ? [...categories.slice(0, 12), "…"] : categories;
      throw invalid(
        placeOf(row, column, names),
        `${JSON.stringify(text)} is no category of the training data: ${some.join(", ")}`,
        "Correct the cell, or have a row with it in the training data.",
      );
    }
    values.fill(0, at, at + categories.length);
    values[at + place] = 1;
    return at + categories.length;
  },
});
