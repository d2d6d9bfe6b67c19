/**
 * Comma-separated files as rows of a table. They are read as streams, so a file larger than a string can be is no problem. Every
 * error names file:line and the column (both from 1).
 */
import { readRows } from "./csv-rows.ts";
import type { Destination } from "./files.ts";
import type { Parts } from "./parts.ts";
import type { Reading } from "./reading.ts";
import type { SpecOf } from "./spec.ts";
import { openTable } from "./table.ts";

/** Throws DATA_MISSING or DATA_INVALID. */
export const openCsv = (spec: SpecOf<"csv">, reading: Reading & Destination): Promise<Parts> =>
  openTable(spec, reading, readRows);
