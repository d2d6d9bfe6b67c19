/** The README's tables of config fields and schedules: every one that there is, once, with its default and its options. */
import { readFileSync } from "node:fs";
import { expect, it, test } from "vitest";
import { parse } from "yaml";
import { configSchema } from "../../../coordinator/config/schema.ts";
import { scheduleForms } from "../../../coordinator/config/optimizer.ts";

const readme = readFileSync(new URL("../../../README.md", import.meta.url), "utf8");

/** The rows of the table whose header begins with this word. */
function rowsOf(header: string): string[][] {
  const [, rows = ""] = new RegExp(`^\\| ${header} .*\\n\\| -.*\\n((?:\\|.*\\n)+)`, "m").exec(readme) ?? [];
  const lines = rows.trimEnd().split("\n");
  return lines.map((line) =>
    line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}
const words = (cell: string): string[] => Array.from(cell.matchAll(/`([^`]+)`/g), ([, word]) => word!);

const fields = rowsOf("field").map(([name, value]) => [words(name!)[0]!, words(value!)[0]] as const);

it("names every field of a config", () => {
  expect(fields.map(([name]) => name).toSorted()).toEqual(Object.keys(configSchema.shape).toSorted());
});

const defaults = configSchema.parse({}) as Record<string, unknown>;
test.each(fields)("%s is %s by default", (name, written) => {
  const given = written === undefined ? {} : { [name]: parse(written) as unknown };
  expect((configSchema.parse(given) as Record<string, unknown>)[name]).toEqual(defaults[name]);
  expect(written === undefined, "a default, or none").toBe(defaults[name] === undefined);
});

const schedules = rowsOf("schedule").map(([name, options]) => [words(name!)[0]!, words(options!)] as const);

it("names every schedule", () => {
  expect(schedules.map(([name]) => name).toSorted()).toEqual(Object.keys(scheduleForms).toSorted());
});

test.each(schedules)("%s takes %j besides what all take", (name, options) => {
  const own = Object.keys(scheduleForms[name as keyof typeof scheduleForms]);
  expect([...options, "warmUp", "baseBatch"].toSorted()).toEqual(own.toSorted());
});
