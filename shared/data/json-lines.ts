/**
 * Files with a JSON object a line, as rows of a table: the first line's keys, in their order, are the columns, and a list of numbers is
 * as many columns. Values are numbers, texts, true and false (1 and 0). Every error names file:line.
 */
import { errnoOf } from "../errno.ts";
import { LockstepError } from "../errors.ts";
import { invalid, type Row } from "./csv-rows.ts";
import type { Destination } from "./files.ts";
import type { Parts } from "./parts.ts";
import type { Reading } from "./reading.ts";
import type { SpecOf } from "./spec.ts";
import { openTable } from "./table.ts";
import { unreadable } from "./unreadable.ts";
import { piecesOfText } from "./utf8.ts";

/** Characters; a longer line is no sample's, and no string holds one of twice as many. */
const LONGEST_LINE = 2 ** 28;

/** Lists in lists: more would exhaust the stack. */
const DEEPEST = 32;

/** Throws DATA_MISSING or DATA_INVALID. */
export const openJsonLines = (spec: SpecOf<"jsonLines">, reading: Reading & Destination): Promise<Parts> =>
  openTable({ ...spec, header: true }, reading, readObjects);

/** The header, made of the first object's keys, and then a row for each line that is not empty. */
async function* readObjects(path: string): AsyncGenerator<Row> {
  let names: readonly string[] | undefined;
  let line = 0;
  try {
    for await (const text of linesOf(path)) {
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

/** What lies between line feeds; other characters that end lines, such as U+2028, may be in a text of JSON. */
async function* linesOf(path: string): AsyncGenerator<string> {
  let line = 1;
  let text = "";
  for await (const chunk of piecesOfText(path)) {
    const [end = "", ...others] = chunk.split("\n");
    text += end;
    for (const other of others) {
      yield text;
      line += 1;
      text = other;
    }
    if (text.length > LONGEST_LINE)
      throw invalid(
        `${path}:${line}`,
        `the line has more than ${LONGEST_LINE} characters`,
        "Every line is one JSON object.",
      );
  }
  yield text;
}

/** A value of JSON as the cell that it stands for; an object, which stands for none, as it is written. */
export function cellOf(value: unknown): string {
  if (value === null) return "";
  if (typeof value === "boolean" || typeof value === "number") return String(Number(value));
  return typeof value === "string" ? value : JSON.stringify(value);
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
  const add = (name: string, value: unknown, depth = 0): void => {
    if (depth > DEEPEST)
      throw invalid(place, `${name} is nested more than ${DEEPEST} deep`, "Write it as a list of its values.");
    if (Array.isArray(value)) value.forEach((item, at) => add(`${name}[${at}]`, item, depth + 1));
    else if (typeof value !== "object" || value === null) cells.set(name, cellOf(value));
    else throw invalid(place, `${name} is an object`, "Values are numbers, texts, true, false or lists of them.");
  };
  for (const [name, value] of Object.entries(object)) add(name, value);
  return cells;
}
