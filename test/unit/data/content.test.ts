/** A dataset as one file of the bytes it is named after: read back into memory, or left in the file, and checked. */
import { closeSync, openSync } from "node:fs";
import { rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { readContent } from "../../../shared/data/content.ts";
import { contentBytes, createDataset } from "../../../shared/data/dataset.ts";
import type { Dataset } from "../../../shared/data/dataset.ts";
import { OpenFiles } from "../../../shared/data/files.ts";
import { product } from "../../../shared/shape.ts";
import { temporaryFolder } from "../../support/files.ts";

const bytes = createDataset({
  sampleShape: [2, 3],
  target: { kind: "class", classes: 5 },
  features: Uint8Array.from({ length: 60 }, (_, at) => (at * 37) % 256),
  targets: Int32Array.from({ length: 10 }, (_, sample) => sample % 5),
});
const floats = createDataset({
  sampleShape: [4],
  target: { kind: "values", width: 2 },
  features: Float32Array.from({ length: 40 }, (_, at) => at / 3),
  targets: Float32Array.from({ length: 20 }, (_, at) => -at),
});

async function written(dataset: Dataset): Promise<string> {
  const path = join(await temporaryFolder(), dataset.sha256);
  await writeFile(path, Buffer.concat([...contentBytes(dataset.transfer())].map((each) => Buffer.from(each))));
  return path;
}

function rowsOf(dataset: Dataset): unknown {
  const width = product(dataset.sampleShape);
  const features = new Float32Array(3 * width);
  const targets = dataset.target.kind === "class" ? new Int32Array(3) : new Float32Array(3 * dataset.target.width);
  dataset.batch([7, 0, 9], features, targets);
  return [dataset.length, dataset.sampleShape, dataset.target, features, targets];
}

test.each([
  ["bytes", bytes, 60],
  ["floats", floats, 160],
])(
  "%s come back: from memory where they have room, else from the file, also when it is moved",
  async (_, dataset, size) => {
    const path = await written(dataset);
    const files = new OpenFiles();
    onTestFinished(() => files.close());
    const held = await readContent(path, dataset.sha256, { memory: size, files });
    const left = await readContent(path, dataset.sha256, { memory: size - 1, files });
    expect(held.transfer().features).toHaveProperty("buffer");
    expect(left.transfer().features).toHaveProperty("pieces");
    await rename(path, `${path}.moved`);
    expect(rowsOf(held)).toEqual(rowsOf(dataset));
    expect(rowsOf(left)).toEqual(rowsOf(dataset));
  },
);

const nothing = { memory: 0, files: new OpenFiles() };

/** The number the next file would get that is opened. */
function nextDescriptor(): number {
  const descriptor = openSync(import.meta.filename, "r");
  closeSync(descriptor);
  return descriptor;
}

test("a file that is refused is closed", async () => {
  const path = await written(floats);
  const before = nextDescriptor();
  for (let time = 0; time < 5; time++)
    await expect(readContent(path, bytes.sha256, nothing)).rejects.toMatchObject({ code: "DATA_MISMATCH" });
  expect(nextDescriptor()).toBe(before);
});

test.each([
  ["nothing", ""],
  ["no header", "digits\n"],
  [
    "features that are no whole number of samples",
    `${JSON.stringify({ sampleShape: [2], target: { kind: "class", classes: 2 }, type: "uint8", targets: 1 })}\n1230000`,
  ],
  [
    "less than its targets",
    `${JSON.stringify({ sampleShape: [2], target: { kind: "class", classes: 2 }, type: "uint8", targets: 9 })}\n12`,
  ],
])("%s is no dataset", async (_, text) => {
  const path = join(await temporaryFolder(), "file");
  await writeFile(path, text);
  await expect(readContent(path, bytes.sha256, nothing)).rejects.toMatchObject({
    code: "DATA_INVALID",
    message: `${path} is no dataset, or not a whole one`,
  });
});

test("a file that is not there is DATA_MISSING", async () => {
  await expect(readContent(join(await temporaryFolder(), "none"), bytes.sha256, nothing)).rejects.toMatchObject({
    code: "DATA_MISSING",
  });
});
