/**
 * Files with a JSON object a line, as rows of a table: the first line's keys, in their order, are the columns, and a list of numbers is
 * as many columns. Values are numbers, texts, true and false (1 and 0). Every error names file:line.
 */
import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { errnoOf } from "../errno.ts";
import { LockstepError } from "../errors.ts";
import { invalid, type Row } from "./csv-rows.ts";
import type { Parts } from "./open.ts";
import type { Reading } from "./reading.ts";
import type { SpecOf } from "./spec.ts";
import { openTable } from "./table.ts";
import { unreadable } from "./unreadable.ts";

/** Throws DATA_MISSING or DATA_INVALID. */
export const openJsonLines = (spec: SpecOf<"jsonLines">, reading: Reading): Promise<Parts> =>
  openTable({ ...spec, header: true }, reading, readObjects);

/** The header, made of the first object's keys, and then a row for each line that is not empty. */
async function* readObjects(path: string): AsyncGenerator<Row> {
  const lines = createInterface({ input: createReadStream(path), crlfDelay: Infinity });
  let names: readonly string[] | undefined;
  let line = 0;
  try {
    for await (const text of lines) {
      line += 1;
      if (text.trim() === "") continue;
      const cells = cellsOf(`${path}:${line}`, text.replace(/^\ufeff/, ""));
      if (names === undefined) {
        names = [...cells.keys()];
        yield { path, line, cells: names };
      }
      const extra = [...cells.keys()].find((name) => !names!.includes(name));
      if (extra !== undefined)
        throw invalid(`${path}:${line}`, `${extra} is no key of the first line`, "Every line needs the same keys.");
      yield { path, line, cells: names.map((name) => cells.get(name) ?? "") };
    }
  } catch (cause) {
    throw cause instanceof LockstepError || errnoOf(cause) === undefined ? cause : unreadable(path, cause);
  }
}

function cellsOf(place: string, text: string): Map<string, string> {
  let object: unknown;
  try {
    object = JSON.parse(text);
  } catch (cause) {
    throw invalid(place, String(cause), "Every line is one JSON object, and JSON has no NaN and no Infinity.");
  }
  if (typeof object !== "object" || object === null || Array.isArray(object))
    throw invalid(place, "expected a JSON object", "Every line is one JSON object.");
  const cells = new Map<string, string>();
  const add = (name: string, value: unknown): void => {
    if (Array.isArray(value)) value.forEach((item, at) => add(`${name}[${at}]`, item));
    else if (typeof value === "number" || typeof value === "string") cells.set(name, String(value));
    else if (typeof value === "boolean") cells.set(name, value ? "1" : "0");
    else if (value === null) cells.set(name, "");
    else throw invalid(place, `${name} is an object`, "Values are numbers, texts, true, false or lists of them.");
  };
  for (const [name, value] of Object.entries(object)) add(name, value);
  return cells;
}
