import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { openData, type OpenedData } from "../../../shared/data/open.ts";
import type { DataSpec } from "../../../shared/data/spec.ts";
import { failureOf } from "../../support/errors.ts";
import { temporaryFolder } from "../../support/files.ts";

type CsvOptions = Omit<Partial<Extract<DataSpec, { kind: "csv" }>>, "kind" | "test">;

/** Opens `text` as training data and `test` as test data, if given; the first column is the target unless said otherwise. */
async function openText(text: string, options: CsvOptions = {}, test?: string): Promise<OpenedData> {
  const folder = await temporaryFolder();
  const train = join(folder, "train.csv");
  await writeFile(train, text);
  if (test !== undefined) await writeFile(join(folder, "test.csv"), test);
  return openData({
    kind: "csv",
    train,
    target: 0,
    ...options,
    ...(test === undefined ? {} : { test: join(folder, "test.csv") }),
  });
}

function rowsOf({ train }: OpenedData): { features: number[]; targets: number[] } {
  const features = new Float32Array(train.length * train.sampleShape[0]!);
  const targets = new (train.target.kind === "class" ? Int32Array : Float32Array)(train.length);
  train.batch([...Array(train.length).keys()], features, targets);
  return { features: [...features], targets: [...targets] };
}

it.each<[what: string, text: string, options: CsvOptions]>([
  ["without a header", "1,10,20\n0,30,40\n", { classes: 2 }],
  ["with a header found out", "y,a,b\n1,10,20\n0,30,40\n", { classes: 2 }],
  ["with a header of numbers, when told so", "0,1,2\n1,10,20\n0,30,40\n", { classes: 2, header: true }],
  ["with the target by name", "a,y,b\n10,1,20\n30,0,40\n", { classes: 2, target: "y" }],
  ["with the target by position", "a,b,y\n10,20,1\n30,40,0\n", { classes: 2, target: 2 }],
  ["with quotes, blanks and Windows line ends", '\ufeff"y", a ,b\r\n"1", 10 ,20\r\n\r\n0,3e1,40.0', { classes: 2 }],
  ["with a scale", "1,1,2\n0,3,4\n", { classes: 2, scale: 0.1 }],
])("reads a file %s", async (_, text, options) => {
  const rows = rowsOf(await openText(text, options));
  expect(rows).toEqual({ features: [10, 20, 30, 40], targets: [1, 0] });
});

it("names columns of a file with a header by name or by number, and a name that is a number is a name first", async () => {
  const features = async (columns: NonNullable<CsvOptions["columns"]>): Promise<number[]> =>
    rowsOf(await openText("y,a,1,b\n0,10,20,30\n", { header: true, columns })).features;
  expect(await features({ a: "ignore" })).toEqual([20, 30]);
  expect(await features({ 3: "ignore" })).toEqual([10, 20]);
  expect(await features({ 1: "ignore" })).toEqual([10, 30]);
});

it("gives each category a place in the order of their characters, whichever comes first in the file", async () => {
  const rows = rowsOf(await openText("y,c\n1,b\n2,B\n3,a\n4,c\n5,a\n", { columns: { c: "category" } }));
  // B, a, b, c.
  const places = [2, 0, 1, 3, 1];
  expect(rows.features).toEqual(places.flatMap((place) => [0, 1, 2, 3].map((each) => (each === place ? 1 : 0))));
});

it("standardises the features, and not the target", async () => {
  const rows = rowsOf(await openText("y,a\n5,10\n9,30\n", { standardise: true }));
  expect(rows).toEqual({ features: [-1, 1], targets: [5, 9] });
  const texts = { standardise: true, classes: ["sun", "rain"] };
  expect(rowsOf(await openText("y,a\nrain,10\nsun,30\n", texts))).toEqual({ features: [-1, 1], targets: [1, 0] });
});

it("divides the features, and not the target, by the scale", async () => {
  const rows = rowsOf(await openText("510,255,51\n", { scale: 255 }));
  expect(rows).toEqual({ features: [1, Math.fround(0.2)], targets: [510] });
});

it("standardises numbers that float32 could not tell apart", async () => {
  const seconds = (rows: number[]) =>
    openText(rows.map((row) => `${row},${1.7e9 + row}`).join("\n"), { standardise: true });
  const { features } = rowsOf(await seconds([0, 1, 2, 3]));
  // Their mean is 1.5 and their variance 1.25.
  expect(features).toEqual([-1.5, -0.5, 0.5, 1.5].map((value) => Math.fround(value / Math.sqrt(1.25))));
});

it("reads more rows than it makes room for at first", async () => {
  const lines = Array.from({ length: 5000 }, (_, index) => `${index % 7},${index},${-index}`);
  const rows = rowsOf(await openText(lines.join("\n"), { classes: 7 }));
  expect(rows.features).toEqual(Array.from({ length: 5000 }, (_, index) => [index, 0 - index]).flat());
  expect(rows.targets).toEqual(Array.from({ length: 5000 }, (_, index) => index % 7));
});

/** With this one in their midst; more than is read of a file at once. */
const manyRows = (row: string): string => ["1,2\n".repeat(20_000), row, "\n1,2".repeat(20_000)].join("");

it.each<[what: string, text: string, options: CsvOptions, message: string]>([
  ["an empty cell", "y,a\n1,2\n3,\n", {}, "train.csv:3: column 2 (a): expected a number, found an empty cell"],
  ["a blank cell", "1,2\n3,  \n", {}, "train.csv:2: column 2: expected a number, found an empty cell"],
  ["text", "y,a\n1,abc\n", {}, 'train.csv:2: column 2 (a): expected a number, found "abc"'],
  ["a hexadecimal number", "1,2\n1,0x10\n", {}, 'train.csv:2: column 2: expected a number, found "0x10"'],
  ["a hexadecimal zero", "1,2\n1,0x0\n", {}, 'train.csv:2: column 2: expected a number, found "0x0"'],
  ["infinity", "1,2\n1,Infinity\n", {}, 'train.csv:2: column 2: expected a number, found "Infinity"'],
  ["NaN", "1,2\n1,NaN\n", {}, 'train.csv:2: column 2: expected a number, found "NaN"'],
  ["what float32 cannot hold", "1,2\n1,1e39\n", {}, 'train.csv:2: column 2: expected a number, found "1e39"'],
  ["a target that is no number", "1,2\nx,3\n", {}, 'train.csv:2: column 1: expected a number, found "x"'],
  ["a row too short", "1,2,3\n4,5\n", {}, "train.csv:2: expected 3 columns, as in the first row, found 2"],
  ["a row too long", "1,2\n\n4,5,6\n", {}, "train.csv:3: expected 2 columns, as in the first row, found 3"],
  [
    "a label out of range",
    "0,1\n3,1\n",
    { classes: 3 },
    'train.csv:2: column 1: expected a label from 0 to 2, found "3"',
  ],
  ["a negative label", "-1,1\n", { classes: 3 }, 'train.csv:1: column 1: expected a label from 0 to 2, found "-1"'],
  ["half a label", "0.5,1\n", { classes: 3 }, 'train.csv:1: column 1: expected a label from 0 to 2, found "0.5"'],
  [
    "no label",
    ",1\n",
    { classes: 3, header: false },
    "train.csv:1: column 1: expected a label from 0 to 2, found an empty cell",
  ],
  ["a first row of numbers and text", "1,b\n1,2\n", {}, 'train.csv:1: the first row mixes numbers and text ("b")'],
  [
    "text where there is no header",
    "a,b\n1,2\n",
    { header: false },
    'train.csv:1: column 2: expected a number, found "b"',
  ],
  [
    "a target before the first column",
    "1,2\n",
    { target: -1 },
    "train.csv:1: the target is column -1, the file has 2 columns",
  ],
  [
    "a target between two columns",
    "1,2\n",
    { target: 0.5 },
    "train.csv:1: the target is column 0.5, the file has 2 columns",
  ],
  [
    "a column by name where there is no header",
    "1,2\n",
    { columns: { b: "ignore" } },
    'train.csv:1: data.columns names "b", but the file is read without a header',
  ],
  [
    "a column behind the last one",
    "1,2\n",
    { columns: { 2: "ignore" } },
    'train.csv:1: data.columns names "2", but the file is read without a header',
  ],
  [
    "an unknown one of many columns",
    `y,${"abcdefghijklm".split("").join()}\n${"1,".repeat(13)}1\n`,
    { columns: { z: "ignore" } },
    'train.csv:1: no column is named "z"; the columns are y, a, b, c, d, e, …, i, j, k, l, m',
  ],
  ["an unknown target", "a,b\n1,2\n", { target: "c" }, 'train.csv:1: no column is named "c"; the columns are a, b'],
  [
    "an ambiguous target",
    "a,b,a\n1,2,3\n",
    { target: "a" },
    'train.csv:1: more than one column is named "a"; the columns are a, b, a',
  ],
  [
    "a named target without header",
    "1,2\n",
    { target: "a", header: false },
    'train.csv:1: the target is named "a", but the file is read without a header',
  ],
  [
    "a target beyond the columns",
    "1,2\n",
    { target: 2 },
    "train.csv:1: the target is column 2, the file has 2 columns",
  ],
  ["a single column", "1\n2\n", {}, "train.csv:1: expected a target and at least one feature, found 1 column"],
  ["an empty file", "", {}, "train.csv:1: expected at least one row of data, found none"],
  ["a header and nothing else", "a,b\n", {}, "train.csv:1: expected at least one row of data, found none"],
  ["an open quote", '1,2\n3,"4\n5,6\n7,8\n', {}, "train.csv:2: a quote is opened in the row that begins here"],
  [
    "an open quote behind empty lines",
    '"a\nb",2\n\n\n3,"4\n\n5,6\n',
    { header: true },
    "train.csv:5: a quote is opened",
  ],
  ["an open quote in the first row", '\n"1,2\n3,4\n', {}, "train.csv:2: a quote is opened"],
  ["an open quote far from both ends", manyRows('3,"4'), {}, "train.csv:20001: a quote is opened"],
  ["a quote inside a cell", '1,2\n3,4"5\n', {}, "train.csv:2: Invalid Opening Quote"],
])("refuses %s", async (_, text, options, message) => {
  const error = await failureOf(() => openText(text, options));
  expect(error.code).toBe("DATA_INVALID");
  expect(error.message).toContain(message);
  expect(error.hint).not.toBe("");
});

it.each<[what: string, text: string, options: CsvOptions, hint: string]>([
  ["a feature", "y,a\n1,dry\n", {}, "for a column of texts set its type to category in data.columns"],
  ["the target", "y,a\nrain,1\n", {}, "for a target of texts list them in data.classes"],
  ["a label", "y,a\nrain,1\n", { classes: 2 }, "for labels that are texts list them in data.classes"],
  ["a label out of range", "y,a\n2,1\n", { classes: 2 }, "set data.classes to the number of classes"],
])("says of a text in %s what helps there", async (_, text, options, hint) => {
  expect((await failureOf(() => openText(text, options))).hint).toContain(hint);
});

it("takes what it tells of a target of texts", async () => {
  expect(rowsOf(await openText("y,a\nrain,1\nsun,2\n", { classes: ["sun", "rain"] })).targets).toEqual([1, 0]);
});

it.each([
  ["another name", "y,b\n1,2\n", "test.csv:1: expected 2 columns y, a, as in"],
  ["another number of columns", "y,a,b\n1,2,3\n", "found 3 columns y, a, b"],
  ["no header", "1,2\n", "found 2 columns without a header"],
])("refuses test data with %s", async (_, test, message) => {
  const error = await failureOf(() => openText("y,a\n1,2\n", {}, test));
  expect(error.code).toBe("DATA_INVALID");
  expect(error.message).toContain(message);
});

it("names the test file in its own errors", async () => {
  const error = await failureOf(() => openText("y,a\n1,2\n", {}, "y,a\n1,x\n"));
  expect(error.message).toContain("test.csv:2: column 2 (a)");
});

it("has no test part unless a file is given", async () => {
  expect((await openText("1,2\n")).test).toBeUndefined();
  expect((await openText("1,2\n", {}, "3,4\n5,6\n")).test?.length).toBe(2);
});

it("names a file that is missing", async () => {
  const error = await failureOf(() => openData({ kind: "csv", train: "/nowhere/train.csv", target: 0 }));
  expect(error).toMatchObject({ code: "DATA_MISSING", message: "cannot read /nowhere/train.csv: ENOENT" });
});
