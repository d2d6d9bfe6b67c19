/** What was measured, kept in results.json, and the README's table of it. */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { duration } from "../../coordinator/cli/format.ts";

/** The examples on MNIST, the least test accuracy each is to reach, and the seeds to show it with. */
export const aims = [
  { example: "mnist-cnn.yaml", least: 0.992, seeds: [1, 2, 3] },
  { example: "mnist-784-64-10.yaml", least: 0.978, seeds: [1, 2, 3] },
  { example: "mnist-dense.yaml", least: 0.986, seeds: [1, 2, 3] },
] as const;

export interface Result {
  readonly example: string;
  readonly seed: number;
  readonly testAccuracy: number;
  readonly seconds: number;
  readonly workers: number;
  readonly parametersSha256: string;
  readonly processor: string;
  readonly date: string;
}

const resultsFile = fileURLToPath(new URL("results.json", import.meta.url));
const readmeFile = fileURLToPath(new URL("../../README.md", import.meta.url));

export const readResults = (): Result[] => JSON.parse(readFileSync(resultsFile, "utf8")) as Result[];
export const readReadme = (): string => readFileSync(readmeFile, "utf8");

const percent = (share: number): string => `${(100 * share).toFixed(2)} %`;

/** In the order of the aims. */
function rows(results: readonly Result[]): string[][] {
  return aims.flatMap(({ example, least, seeds }) =>
    seeds.flatMap((seed) => {
      const result = results.find((each) => each.example === example && each.seed === seed);
      if (result === undefined) return [];
      const { testAccuracy, seconds, processor } = result;
      return [[example, `${seed}`, percent(testAccuracy), percent(least), duration(seconds), processor]];
    }),
  );
}

/** As Markdown, in columns as wide as they need to be. */
export function tableOf(results: readonly Result[]): string {
  const all = [["example", "seed", "test accuracy", "aim", "time", "processor"], ...rows(results)];
  const widths = all[0]!.map((_, column) => Math.max(...all.map((row) => row[column]!.length)));
  const lines = all.map((row) => `| ${row.map((cell, column) => cell.padEnd(widths[column]!)).join(" | ")} |`);
  const rule = `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`;
  return [lines[0], rule, ...lines.slice(1)].join("\n");
}

/** The README's table: from its header to the first line that is no row. */
export const tablePattern = /^\| example +\| seed .*(\n\|.*)*/m;

/** Adds a result, in place of an older one of the same example and seed, and brings the README's table up to date. */
export function keep(result: Result): void {
  const others = readResults().filter(({ example, seed }) => example !== result.example || seed !== result.seed);
  const results = [...others, result];
  writeFileSync(resultsFile, `${JSON.stringify(results, null, 2)}\n`);
  writeFileSync(readmeFile, readReadme().replace(tablePattern, tableOf(results)));
}
