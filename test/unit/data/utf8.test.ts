/** Text of data files: what is not UTF-8 is refused with its line, where it would be read as other letters than it has. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openData } from "../../../shared/data/open.ts";
import { readSample } from "../../../shared/data/sample.ts";
import type { DataSpec } from "../../../shared/data/spec.ts";
import { failureOf } from "../../support/errors.ts";
import { temporaryFolder } from "../../support/files.ts";

const latin1 = (text: string): Buffer => Buffer.from(text, "latin1");
/** More than is read of a file at once. */
const many = (row: string): string => row.repeat(20_000);

async function fileOf(name: string, content: string | Uint8Array): Promise<string> {
  const path = join(await temporaryFolder(), name);
  await writeFile(path, content);
  return path;
}

const table = (kind: "csv" | "jsonLines", train: string): DataSpec => ({
  kind,
  train,
  target: "y",
  columns: { c: "category" },
});

describe("data that is not UTF-8 is refused with its line:", () => {
  it.each([
    ["csv", 2, latin1("y,c\n0,é\n1,è\n0,à\n")],
    ["csv", 20_003, latin1(`y,c\n0,e\n${many("1,a\n")}0,é\n`)],
    ["csv", 3, latin1('y,c\n0,"e\né"\n1,a\n')],
    ["csv", 3, Buffer.from("y,c\n0,e\n1,é").subarray(0, -1)],
    ["csv", 1, Buffer.from("\ufeffy,c\n0,e\n1,a\n", "utf16le")],
    ["jsonLines", 2, latin1('{"y": 0, "c": "e"}\n{"y": 1, "c": "é"}\n')],
    ["jsonLines", 20_001, latin1(`${many('{"y": 0, "c": "e"}\n')}{"y": 1, "c": "é"}`)],
  ] as const)("%s, line %i", async (kind, line, bytes) => {
    const path = await fileOf("a.data", bytes);
    expect(await failureOf(() => openData(table(kind, path)))).toMatchObject({
      code: "DATA_INVALID",
      message: `${path}:${line}: the text is not UTF-8`,
      hint: expect.stringContaining("as UTF-8"),
    });
  });

  it.each(["row.csv", "row.txt", "row.json"])("a sample in %s", async (name) => {
    const plain = { train: { sampleShape: [2], stored: "float32" } } as const;
    const path = await fileOf(name, latin1("[1,\n\xff]"));
    expect((await failureOf(() => readSample(path, plain))).message).toBe(`${path}:2: the text is not UTF-8`);
  });

  it("a row for a run on a table", async () => {
    const data = await openData(table("csv", await fileOf("a.csv", "y,c,d\n0,\ufffd,1\n1,é,1\n")));
    const path = await fileOf("row.csv", latin1("\xff,1\n"));
    expect((await failureOf(() => readSample(path, data))).message).toBe(`${path}:1: the text is not UTF-8`);
  });
});

it("letters of several bytes are read whole, wherever the file is cut to be read", async () => {
  // Such that the first 64 KiB end within the last letter of a row.
  for (const cell of ["aaé", "𝄞"]) {
    const data = await openData(table("csv", await fileOf("a.csv", `y,c\n${many(`0,${cell}\n`)}1,\ufffd\n`)));
    expect(data.train.sampleShape).toEqual([2]);
  }
});
