/** What the documents name is there: files move, and sentences about them stay behind. */
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));
const files = globSync("{coordinator,worker,shared,test}/**/*.ts", { cwd: root }).map((file) => `/${file}`);
/** With the last folders of their path or without any. */
const names = (text: string): string[] =>
  [...new Set(text.match(/[\w./-]+\.ts\b/g))].map((name) => name.replace(/^(\.\.?\/)+/, ""));

test.each(["README.md", "docs/decisions.md", "docs/measurements.md"])("the files that %s names exist", (document) => {
  const missing = names(readFileSync(join(root, document), "utf8")).filter(
    (name) => !files.some((file) => file.endsWith(`/${name}`)),
  );
  expect(missing).toEqual([]);
});

test("the files that comments name exist", () => {
  const missing = files.flatMap((file) => {
    const comments = readFileSync(join(root, file), "utf8").match(/\/\*\*?[\s\S]*?\*\/|^\s*\/\/.*$/gm) ?? [];
    return names(comments.join("\n"))
      .filter((name) => !files.some((each) => each.endsWith(`/${name}`)))
      .map((name) => `${file}: ${name}`);
  });
  expect(missing).toEqual([]);
});
