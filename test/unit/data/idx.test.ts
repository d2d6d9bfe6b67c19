import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { expect, it } from "vitest";
import { openData } from "../../../shared/data/open.ts";
import { failureOf } from "../../support/errors.ts";
import { idxBytes, temporaryFolder, writeIdxFolder } from "../../support/files.ts";

const images = idxBytes([3, 2, 2], [0, 1, 2, 3, 4, 5, 6, 7, 252, 253, 254, 255]);
const labels = idxBytes([3], [7, 0, 9]);

it.each([
  [
    "a truncated image file",
    { "train-images-idx3-ubyte": images.subarray(0, 20) },
    "train-images-idx3-ubyte at offset 16: expected 12 bytes of data (3 × 2 × 2), found 4",
  ],
  [
    "an image file that is too long",
    { "train-images-idx3-ubyte": idxBytes([2, 2, 2], Array(12).fill(0)) },
    "train-images-idx3-ubyte at offset 16: expected 8 bytes of data (2 × 2 × 2), found 12",
  ],
  [
    "a truncated header",
    { "t10k-images-idx3-ubyte": images.subarray(0, 9) },
    "t10k-images-idx3-ubyte at offset 0: expected a header of 16 bytes, found 9 bytes",
  ],
  [
    "an empty file",
    { "t10k-labels-idx1-ubyte": new Uint8Array() },
    "t10k-labels-idx1-ubyte at offset 0: expected a header of 8 bytes, found 0 bytes",
  ],
  [
    "labels where images belong",
    { "train-images-idx3-ubyte": labels },
    "train-images-idx3-ubyte at offset 0: expected the magic number 0x00000803 of IDX images, found 0x00000801",
  ],
  [
    "another kind of file",
    { "train-labels-idx1-ubyte": new TextEncoder().encode("hello") },
    "train-labels-idx1-ubyte at offset 0: expected the magic number 0x00000801 of IDX labels, found 0x68656c6c",
  ],
  [
    "fewer labels than images",
    { "train-labels-idx1-ubyte": idxBytes([2], [1, 2]) },
    "train-labels-idx1-ubyte at offset 4: expected 3 labels, one for each image of FOLDER/train-images-idx3-ubyte, found 2",
  ],
  [
    "a label that is out of range",
    { "t10k-labels-idx1-ubyte": idxBytes([2], [1, 10]) },
    "t10k-labels-idx1-ubyte at offset 9: expected a label from 0 to 9, found 10",
  ],
  [
    "no images",
    { "train-images-idx3-ubyte": idxBytes([0, 2, 2], []) },
    "train-images-idx3-ubyte at offset 4: expected a length of at least 1, found 0",
  ],
  [
    "images of no width",
    { "train-images-idx3-ubyte": idxBytes([3, 2, 0], []) },
    "train-images-idx3-ubyte at offset 12: expected a length of at least 1, found 0",
  ],
  [
    "lengths whose product no file can have",
    { "train-images-idx3-ubyte": idxBytes([2 ** 32 - 1, 2 ** 32 - 1, 2 ** 32 - 1], [1]) },
    "train-images-idx3-ubyte at offset 16: expected 7.922816",
  ],
  [
    "test images of another size",
    { "t10k-images-idx3-ubyte": idxBytes([2, 1, 2], [1, 2, 3, 4]) },
    "t10k-images-idx3-ubyte at offset 8: expected images of 2 × 2 as in train-images-idx3-ubyte, found 1 × 2",
  ],
])("refuses %s", async (_, replaced, message) => {
  const folder = await temporaryFolder();
  await writeIdxFolder(folder, replaced);
  const error = await failureOf(() => openData({ kind: "idx", path: folder }));
  expect(error.code).toBe("DATA_INVALID");
  expect(error.message).toContain(join(folder, message.replaceAll("FOLDER", folder)));
  expect(error.hint).not.toBe("");
});

it.each(["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"])(
  "names %s when it is missing",
  async (name) => {
    const folder = await temporaryFolder();
    await writeIdxFolder(folder, { [name]: undefined });
    const error = await failureOf(() => openData({ kind: "idx", path: folder }));
    expect(error.code).toBe("DATA_MISSING");
    expect(error.message).toBe(`${join(folder, name)} is missing, plain or as ${name}.gz`);
  },
);

it("names a path that is no folder", async () => {
  const folder = await temporaryFolder();
  const path = join(folder, "file");
  await writeFile(path, "");
  const error = await failureOf(() => openData({ kind: "idx", path }));
  expect(error).toMatchObject({
    code: "DATA_MISSING",
    message: `cannot read ${join(path, "train-images-idx3-ubyte")}: ENOTDIR`,
  });
});

it("refuses a truncated .gz at every length", async () => {
  const folder = await temporaryFolder();
  const zipped = gzipSync(images);
  const path = join(folder, "train-images-idx3-ubyte.gz");
  await writeIdxFolder(folder, { "train-images-idx3-ubyte": undefined });
  for (let length = 2; length < zipped.length; length++) {
    await writeFile(path, zipped.subarray(0, length));
    const error = await failureOf(() => openData({ kind: "idx", path: folder }));
    expect(error.code).toBe("DATA_INVALID");
    expect(error.message).toContain(`${path}: the gzip data (${length} bytes) is damaged or cut short`);
  }
});

it.each([3, 0])("unpacks no more of a .gz than the header of %i images says that there is", async (count) => {
  const folder = await temporaryFolder();
  await writeIdxFolder(folder, { "train-images-idx3-ubyte": undefined });
  const path = join(folder, "train-images-idx3-ubyte.gz");
  const bytes = new Uint8Array(2 ** 25);
  bytes.set(idxBytes([count, 2, 2], []));
  await writeFile(path, gzipSync(bytes));
  expect(await failureOf(() => openData({ kind: "idx", path: folder }))).toMatchObject({
    code: "DATA_INVALID",
    message: `${path} at offset 16: expected ${count * 4} bytes of data (${count} × 2 × 2), found more`,
  });
});

it("takes more classes when told so", async () => {
  const folder = await temporaryFolder();
  await writeIdxFolder(folder, { "t10k-labels-idx1-ubyte": idxBytes([2], [1, 25]) });
  const { train, test } = await openData({ kind: "idx", path: folder, classes: 26 });
  expect(train.target).toEqual({ kind: "class", classes: 26 });
  const targets = new Int32Array(1);
  test?.batch([1], new Float32Array(4), targets);
  expect([...targets]).toEqual([25]);
});

it("gives plain files and .gz files the same hash", async () => {
  const [plain, zipped] = [await temporaryFolder(), await temporaryFolder()];
  await writeIdxFolder(plain);
  await writeIdxFolder(zipped, {}, true);
  const [first, second] = [await openData({ kind: "idx", path: plain }), await openData({ kind: "idx", path: zipped })];
  expect(second.sha256).toBe(first.sha256);
  expect(first.sha256).not.toBe(first.train.sha256);
});
