/** Every code an error can have is explained in the README's table and shown by at least one test. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));
const read = (path: string): string => readFileSync(join(root, path), "utf8");

const union = /export type ErrorCode =([^;]+);/.exec(read("shared/errors.ts"))![1]!;
const codes = Array.from(union.matchAll(/"([A-Z_]+)"/g), ([, code]) => code!);
const rows = read("README.md")
  .split("\n## When something is wrong\n")[1]!
  .split("\n")
  .filter((line) => /^\| `[A-Z_]+`/.test(line))
  .map((line) => line.split("|").slice(1, 3));
const tests = readdirSync(join(root, "test"), { recursive: true, encoding: "utf8" })
  .filter((path) => path.endsWith(".test.ts") && !path.endsWith("errors.test.ts"))
  .map((path) => read(join("test", path)));

describe.each(codes)("%s", (code) => {
  it("has a sentence in the README's table, once", () => {
    const own = rows.filter(([names]) => names!.includes(`\`${code}\``));
    expect(own).toHaveLength(1);
    expect(own[0]![1]!.trim().length).toBeGreaterThan(15);
  });

  it("is shown by a test", () => {
    expect(tests.some((text) => new RegExp(`\\b${code}\\b`).test(text))).toBe(true);
  });
});

it("is a code that there is, wherever the table names one", () => {
  const named = rows.flatMap(([names]) => Array.from(names!.matchAll(/`([A-Z_]+)`/g), ([, code]) => code));
  expect(new Set(named)).toEqual(new Set(codes));
});
