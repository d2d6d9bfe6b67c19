/** Features that are read row by row, and more than memory may hold. */
import { expect, it } from "vitest";
import { copyRows, type Features } from "../../../shared/data/features.ts";
import { OpenFiles } from "../../../shared/data/files.ts";
import { FeatureSink } from "../../../shared/data/sink.ts";

const MEMORY = 10_000;
const WIDTH = 1_000;

/** Of rows of 1,000 bytes, each all its number. */
function sunk(rows: number, files = new OpenFiles()): Features {
  const sink = new FeatureSink("uint8", { memory: MEMORY, files });
  for (let row = 0; row < rows; row++) sink.append(new Uint8Array(WIDTH).fill(row));
  return sink.finish(WIDTH);
}

/** The numbers of the rows that are there. */
function numbersIn(features: Features, indices: readonly number[]): number[] {
  const rows = new Uint8Array(indices.length * WIDTH);
  copyRows(features, indices, WIDTH, rows);
  return indices.flatMap((_, at) => [...new Set(rows.subarray(at * WIDTH, (at + 1) * WIDTH))]);
}

it("holds what memory may hold", () => {
  const features = sunk(5);
  expect(features).toBeInstanceOf(Uint8Array);
  expect(numbersIn(features, [4, 0, 2])).toEqual([4, 0, 2]);
});

it("has a file for what is more", () => {
  const files = new OpenFiles();
  const features = sunk(30, files);
  if (!("pieces" in features)) throw new Error("everything is held");
  expect(numbersIn(features, [29, 0, 11])).toEqual([29, 0, 11]);
  files.close();
});
