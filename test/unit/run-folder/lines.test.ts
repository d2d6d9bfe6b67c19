import { mkdtemp, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { linesIn } from "../../../coordinator/run-folder/lines.ts";
import type { Line } from "../../../coordinator/run-folder/lines.ts";
import { temporaryFolder } from "../../support/files.ts";

async function readInChunks(text: string, chunkBytes: number): Promise<Line[]> {
  const path = join(await mkdtemp(join(await temporaryFolder(), "lines-")), "file");
  await writeFile(path, text);
  const lines: Line[] = [];
  for await (const some of linesIn(path, chunkBytes)) lines.push(...some);
  return lines;
}

it.each([1, 2, 3, 7, 64, 65_536])(
  "are whole, with the bytes they begin at, where chunks of %d bytes cut lines and characters",
  async (chunkBytes) => {
    const texts = ["plain", "", "Zähler 1 €", "𝛉₀ → 𝛉₁", "x".repeat(200)];
    const starts = texts.map((_, index) => Buffer.byteLength(texts.slice(0, index).join("\n")) + (index > 0 ? 1 : 0));
    const lines = texts.map((text, index) => ({ text, at: starts[index], isEnded: true }));
    expect(await readInChunks(`${texts.join("\n")}\n`, chunkBytes)).toEqual(lines);
    const torn = [...lines.slice(0, -1), { ...lines.at(-1), isEnded: false }];
    expect(await readInChunks(texts.join("\n"), chunkBytes)).toEqual(torn);
  },
);

it("are none of an empty file, and none where there is no file", async () => {
  expect(await readInChunks("", 64)).toEqual([]);
  for await (const lines of linesIn(join(await temporaryFolder(), "missing"))) expect(lines).toEqual([]);
});
