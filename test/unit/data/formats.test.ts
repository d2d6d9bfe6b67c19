/** What is wrong with data files, told with file and place; and what is fitted on the training part alone. */
import { mkdir, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { crc32, deflateSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { createDataset } from "../../../shared/data/dataset.ts";
import { readInto } from "../../../shared/data/files.ts";
import { forRun, openData, type OpenedData } from "../../../shared/data/open.ts";
import { writeOwn } from "../../../shared/data/own.ts";
import { split, wholeReading } from "../../../shared/data/reading.ts";
import type { DataSpec } from "../../../shared/data/spec.ts";
import { learnMerges, tokensOf } from "../../../shared/data/text.ts";
import { product } from "../../../shared/shape.ts";
import { bytesOf, npyBytes, npzBytes, safetensorsBytes, writeImages } from "../../support/data-files.ts";
import { failureOf } from "../../support/errors.ts";
import { temporaryFolder } from "../../support/files.ts";

type Files = Readonly<Record<string, string | Uint8Array>>;

async function open(files: Files, spec: (folder: string) => DataSpec, validation = 0): Promise<OpenedData> {
  const folder = await temporaryFolder();
  for (const [name, content] of Object.entries(files)) {
    await mkdir(join(folder, name, ".."), { recursive: true });
    await writeFile(join(folder, name), content);
  }
  return openData(spec(folder), { ...wholeReading, validation, seed: 3 });
}

function featuresOf({ train }: Pick<OpenedData, "train">): number[] {
  const features = new Float32Array(train.length * product(train.sampleShape));
  train.batch([...Array(train.length).keys()], features, train.transfer().targets.slice());
  return [...features];
}

const floats = (...values: number[]): Uint8Array => bytesOf(Float32Array.from(values));
const npy = (folder: string): DataSpec => ({
  kind: "npy",
  features: join(folder, "x.npy"),
  targets: join(folder, "y.npy"),
  classes: 3,
});
const labels = npyBytes("<i4", [2], bytesOf(Int32Array.of(0, 2)));
const features = npyBytes("<f4", [2, 2], floats(1, 2, 3, 4));
const npz = (folder: string): DataSpec => ({ kind: "npz", path: join(folder, "a.npz"), classes: 3 });
const tensors = (folder: string): DataSpec => ({
  kind: "safetensors",
  train: join(folder, "a.safetensors"),
  classes: 3,
});
const twoFeatures = ["F32", [2, 2], floats(1, 2, 3, 4)] as const;
const csv =
  (options: object) =>
  (folder: string): DataSpec => ({ kind: "csv", train: join(folder, "a.csv"), target: "y", ...options });
const lines = (folder: string): DataSpec => ({ kind: "jsonLines", train: join(folder, "a.jsonl"), target: "y" });
const text = (folder: string): DataSpec => ({ kind: "text", train: join(folder, "a.txt"), length: 8 });
const cifar = (folder: string): DataSpec => ({ kind: "cifar", path: folder });

it.each<[what: string, files: Files, spec: (folder: string) => DataSpec, message: string]>([
  [
    "NaN in an array",
    { "x.npy": npyBytes("<f4", [2, 2], floats(1, 2, 3, NaN)), "y.npy": labels },
    npy,
    "feature 1 of row 1 of DIR/x.npy is NaN, expected a finite number",
  ],
  [
    "a type that is none",
    { "x.npy": npyBytes("<c8", [2, 1], floats(1, 2, 3, 4)), "y.npy": labels },
    npy,
    "DIR/x.npy: the array has the type <c8, expected one of |u1",
  ],
  [
    "big-endian numbers",
    { "x.npy": npyBytes(">f4", [2, 2], floats(1, 2, 3, 4)), "y.npy": labels },
    npy,
    "DIR/x.npy: the array has the type >f4",
  ],
  [
    "columns first",
    { "x.npy": npyBytes("<f4", [2, 2], floats(1, 2, 3, 4), "True"), "y.npy": labels },
    npy,
    "DIR/x.npy: the array is in Fortran order",
  ],
  [
    "an array cut short",
    { "x.npy": features.subarray(0, -3), "y.npy": labels },
    npy,
    "DIR/x.npy at offset 128: expected 16 bytes of data ([2, 2] of <f4), found 13",
  ],
  ["no array", { "x.npy": "x,y\n1,2\n", "y.npy": labels }, npy, "DIR/x.npy at offset 0: no NumPy array"],
  [
    "a target too many",
    { "x.npy": features, "y.npy": npyBytes("<i4", [3], bytesOf(Int32Array.of(0, 1, 2))) },
    npy,
    "DIR/y.npy: expected 2 rows, as DIR/x.npy has, found 3",
  ],
  [
    "a label too large",
    { "x.npy": features, "y.npy": npyBytes("<i4", [2], bytesOf(Int32Array.of(0, 3))) },
    npy,
    "row 1 of DIR/y.npy: expected a label from 0 to 2, found 3",
  ],
  [
    "one number a sample",
    { "x.npy": npyBytes("<f4", [2], floats(1, 2)), "y.npy": labels },
    npy,
    "DIR/x.npy: an array of shape [2] has no samples of several values",
  ],
  ["no archive", { "a.npz": "PK" }, npz, "DIR/a.npz: no readable .npz archive"],
  [
    "an array that is not there",
    { "a.npz": npzBytes({ x_train: features, z: labels }) },
    npz,
    "DIR/a.npz: no array is named y_train; there are x_train, z",
  ],
  [
    "test features without targets",
    { "x.npy": features, "y.npy": labels },
    (folder) => ({ ...npy(folder), testFeatures: join(folder, "x.npy") }) as DataSpec,
    "DIR/x.npy: belongs to a test part, but data.npy names no testTargets",
  ],
  [
    "test targets without features",
    { "x.npy": features, "y.npy": labels },
    (folder) => ({ ...npy(folder), testTargets: join(folder, "y.npy") }) as DataSpec,
    "DIR/y.npy: belongs to a test part, but data.npy names no testFeatures",
  ],
  [
    "test targets without features in an archive",
    { "a.npz": npzBytes({ x_train: features, y_train: labels, y_test: labels }) },
    npz,
    "DIR/a.npz: no array is named x_test; there are x_train, y_train, y_test",
  ],
  [
    "test targets named without features in an archive",
    { "a.npz": npzBytes({ x_train: features, y_train: labels }) },
    (folder) => ({ ...npz(folder), testTargets: "y_train" }) as DataSpec,
    "DIR/a.npz: no array is named x_test; there are x_train, y_train",
  ],
  [
    "NaN in an archive",
    { "a.npz": npzBytes({ x_train: npyBytes("<f4", [2, 1], floats(NaN, 1)), y_train: labels }) },
    npz,
    "feature 0 of row 0 of DIR/a.npz, array x_train is NaN",
  ],
  [
    "half precision",
    {
      "a.safetensors": safetensorsBytes({
        features: ["F16", [2, 1], new Uint8Array(4)],
        targets: ["I32", [2], bytesOf(Int32Array.of(0, 1))],
      }),
    },
    tensors,
    "DIR/a.safetensors: features has the type F16, expected one of F32, U8",
  ],
  [
    "tensors without targets",
    { "a.safetensors": safetensorsBytes({ features: twoFeatures, labels: twoFeatures }) },
    tensors,
    "DIR/a.safetensors: no tensor is named targets; there are features, labels",
  ],
  [
    "tensors that don't fit",
    { "a.safetensors": safetensorsBytes({ features: twoFeatures, targets: ["F32", [3], floats(1, 2, 3)] }) },
    tensors,
    "features [2, 2] and targets [3] do not belong together",
  ],
  [
    "half a label",
    { "a.safetensors": safetensorsBytes({ features: twoFeatures, targets: ["F32", [2], floats(1, 0.5)] }) },
    tensors,
    "row 1 of DIR/a.safetensors: expected a label from 0 to 2, found 0.5",
  ],
  [
    "tensors cut short",
    {
      "a.safetensors": safetensorsBytes({ features: twoFeatures, targets: ["F32", [2], floats(1, 0)] }).subarray(0, -1),
    },
    tensors,
    "DIR/a.safetensors: the tensors need",
  ],
  [
    "no tensors at all",
    { "a.safetensors": "a text that is no header, and long enough" },
    tensors,
    "DIR/a.safetensors: no safetensors file",
  ],
  [
    "a category that training lacks",
    { "a.csv": "x,y\nred,1\nblue,2\n", "b.csv": "x,y\ngreen,1\n" },
    (folder) => ({ ...csv({ columns: { x: "category" } })(folder), test: join(folder, "b.csv") }) as DataSpec,
    'DIR/b.csv:2: column 1 (x): "green" is no category of the training data: blue, red',
  ],
  [
    "a column that is not there",
    { "a.csv": "x,y\n1,1\n" },
    csv({ columns: { z: "ignore" } }),
    'DIR/a.csv:1: no column is named "z"; the columns are x, y',
  ],
  [
    "no column left",
    { "a.csv": "x,y\n1,1\n" },
    csv({ columns: { x: "ignore" } }),
    "DIR/a.csv:1: every column but the target's is left out",
  ],
  [
    "a name that is no class",
    { "a.csv": "x,y\n1,maybe\n" },
    csv({ classes: ["no", "yes"] }),
    'DIR/a.csv:2: column 2 (y): expected one of no, yes, found "maybe"',
  ],
  [
    "NaN in a standardised column",
    { "a.csv": "x,y\n1,1\nNaN,2\n" },
    csv({ standardise: true }),
    'DIR/a.csv:3: column 1 (x): expected a number, found "NaN"',
  ],
  ["a line that is no JSON", { "a.jsonl": '{"x": 1, "y": 2}\n{"x": 1, "y": \n' }, lines, "DIR/a.jsonl:2: SyntaxError"],
  ["a line that is no object", { "a.jsonl": "[1, 2]\n" }, lines, "DIR/a.jsonl:1: expected a JSON object"],
  [
    "lists in lists without end",
    { "a.jsonl": `{"x": ${"[".repeat(200_000)}${"]".repeat(200_000)}, "y": 2}\n` },
    lines,
    `DIR/a.jsonl:1: x${"[0]".repeat(33)} is nested more than 32 deep`,
  ],
  [
    "a key that is missing",
    { "a.jsonl": '{"x": 1, "y": 2}\n{"y": 2}\n' },
    lines,
    "DIR/a.jsonl:2: column 1 (x): expected a number, found an empty cell",
  ],
  [
    "a key that is new",
    { "a.jsonl": '{"x": 1, "y": 2}\n{"x": 1, "y": 2, "z": 3}\n' },
    lines,
    "DIR/a.jsonl:2: z is no key of the first line",
  ],
  [
    "null",
    { "a.jsonl": '{"x": null, "y": 2}\n' },
    lines,
    "DIR/a.jsonl:1: column 1 (x): expected a number, found an empty cell",
  ],
  [
    "a text that is too short",
    { "a.txt": "12345678" },
    text,
    "DIR/a.txt: 8 tokens are too few for a sample of 8 and what follows",
  ],
  [
    "half a record",
    { "data_batch_1.bin": new Uint8Array(3074) },
    cifar,
    "DIR/data_batch_1.bin: 3074 bytes are no whole number of records of 3073",
  ],
  [
    "a label beyond the classes",
    { "data_batch_1.bin": new Uint8Array(3073).fill(10) },
    cifar,
    "DIR/data_batch_1.bin at offset 0: expected a label from 0 to 9, found 10",
  ],
  ["a folder without CIFAR's files", { "other.bin": "" }, cifar, "DIR: no file is named data_batch_1.bin"],
])("refuses %s", async (_, files, spec, message) => {
  let folder = "";
  const error = await failureOf(() =>
    open(files, (path) => {
      folder = path;
      return spec(path);
    }),
  );
  expect(error.code).toBe("DATA_INVALID");
  expect(error.message.replaceAll(folder, "DIR")).toContain(message);
  expect(error.hint).not.toBe("");
});

it("refuses an archive with one bit changed, stored or compressed", async () => {
  const path = join(await temporaryFolder(), "a.npz");
  const arrays = { x_train: npyBytes("<f4", [2, 64], new Uint8Array(512).fill(65)), y_train: labels };
  for (const archive of [npzBytes(arrays, 0), npzBytes(arrays, 9)]) {
    await writeFile(path, archive);
    await openData({ kind: "npz", path });
    // The first file's bytes: behind its name, and before the second one's header.
    const end = Buffer.from(archive).indexOf("y_train") - 30;
    expect(end).toBeGreaterThan(100);
    for (let at = 41; at < end; at += 7) {
      const damaged = Uint8Array.from(archive);
      damaged[at]! ^= 4;
      await writeFile(path, damaged);
      const error = await failureOf(() => openData({ kind: "npz", path }));
      expect(error.message).toContain(`${path}: no readable .npz archive: `);
    }
  }
});

describe("a test part that the training part's network cannot be evaluated on", () => {
  const values = (...shape: number[]): Uint8Array => npyBytes("<f4", shape, new Uint8Array(4 * product(shape)));
  const parts = { features: values(2, 3), targets: values(2, 2) };

  it.each<[what: string, test: { features?: Uint8Array; targets?: Uint8Array }, message: string]>([
    ["shape", { features: values(2, 4) }, "the training samples have the shape [3], the test samples [4]"],
    [
      "narrower targets",
      { targets: values(2) },
      "the training samples have as target 2 real values, the test samples a real value",
    ],
    ["wider targets", { targets: values(2, 3) }, "as target 2 real values, the test samples 3 real values"],
  ])("is refused for its %s, in files and in an archive", async (_, test, message) => {
    const { features: x_test, targets: y_test } = { ...parts, ...test };
    const archive = { "a.npz": npzBytes({ x_train: parts.features, y_train: parts.targets, x_test, y_test }) };
    const files = { "x.npy": parts.features, "y.npy": parts.targets, "tx.npy": x_test, "ty.npy": y_test };
    const inFiles = (folder: string): DataSpec => {
      const at = (name: string): string => join(folder, name);
      return {
        kind: "npy",
        features: at("x.npy"),
        targets: at("y.npy"),
        testFeatures: at("tx.npy"),
        testTargets: at("ty.npy"),
      };
    };
    const inArchive = (folder: string): DataSpec => ({ kind: "npz", path: join(folder, "a.npz") });
    for (const opened of [() => open(files, inFiles), () => open(archive, inArchive)]) {
      const error = await failureOf(opened);
      expect(error.code).toBe("DATA_INVALID");
      expect(error.message).toContain(message);
    }
  });

  it("is refused for its kind of target, wherever the parts come from", async () => {
    const content = { sampleShape: [1], features: Float32Array.of(1, 2) };
    const labelled = (classes: number) =>
      createDataset({ ...content, target: { kind: "class", classes }, targets: Int32Array.of(0, 1) });
    const each = createDataset({
      ...content,
      target: { kind: "class", classes: 3, positions: 2 },
      targets: new Int32Array(4),
    });
    const valued = createDataset({ ...content, target: { kind: "values", width: 1 }, targets: Float32Array.of(0, 1) });
    for (const [test, found] of [
      [labelled(2), "a label from 0 to 1"],
      [each, "a label from 0 to 2 at each of 2 positions"],
      [valued, "a real value"],
    ] as const) {
      const message = `the training samples have as target a label from 0 to 2, the test samples ${found}`;
      const read = await failureOf(() => forRun({ train: labelled(3), test }, wholeReading));
      expect([read.code, read.message]).toEqual(["DATA_INVALID", `the data: ${message}`]);
      const written = await failureOf(async () => writeOwn({ train: labelled(3), test }, await temporaryFolder()));
      expect(written.message).toBe(`the datasets given as data: ${message}`);
    }
  });
});

describe("images", () => {
  const grey = (width: number, height: number) => ({
    width,
    height,
    channels: 1 as const,
    data: Array<number>(width * height).fill(9),
  });
  const failure = async (images: Parameters<typeof writeImages>[1], options = {}): Promise<string> => {
    const folder = await temporaryFolder();
    await writeImages(folder, images);
    const error = await failureOf(() => openData({ kind: "images", train: folder, ...options }));
    expect(error.code).toBe("DATA_INVALID");
    return error.message.replaceAll(folder, "DIR");
  };

  it("of mixed sizes are refused with both", async () => {
    expect(await failure({ "a/1.png": grey(2, 3), "b/1.png": grey(3, 2) })).toBe(
      "DIR/b/1.png: the image is 3 × 2, DIR/a/1.png is 2 × 3",
    );
  });

  it("of mixed colours are refused, unless it is said how to read them", async () => {
    const images = {
      "a/1.png": grey(1, 2),
      "b/1.png": { width: 1, height: 2, channels: 3 as const, data: [10, 20, 30, 255, 255, 255] },
    };
    expect(await failure(images)).toContain("DIR/b/1.png: the image has colours, DIR/a/1.png has none");
    const folder = await temporaryFolder();
    await writeImages(folder, images);
    const { train } = await openData({ kind: "images", train: folder, channels: 1 });
    // 0.299 · 10 + 0.587 · 20 + 0.114 · 30
    expect(featuresOf({ train }).map((value) => Math.round(255 * value))).toEqual([9, 9, 18, 255]);
  });

  it("need their folders, and to be readable", async () => {
    expect(await failure({ "a/1.png": grey(1, 1) })).toBe(
      "DIR: expected a folder for each of at least 2 classes, found a",
    );
    expect(await failure({ "a/1.png": grey(1, 1), "b/1.png": grey(1, 1) }, { classes: 3 })).toContain(
      "each of 3 classes, found a, b",
    );
    const folder = await temporaryFolder();
    await writeImages(folder, { "a/1.png": grey(1, 1), "b/1.png": grey(1, 1) });
    await writeFile(join(folder, "b", "2.png"), "no picture");
    const error = await failureOf(() => openData({ kind: "images", train: folder }));
    expect(error.message).toContain("b/2.png: no readable PNG");
  });

  it("are needed of each class to train on, not of each to test with", async () => {
    const folder = await temporaryFolder();
    await writeImages(folder, { "train/a/1.png": grey(1, 1), "train/b/1.png": grey(1, 1), "test/b/1.png": grey(1, 1) });
    const spec = { kind: "images", train: join(folder, "train"), test: join(folder, "test") } as const;
    await mkdir(join(folder, "test", "a"));
    expect((await openData(spec)).test!.transfer().targets).toEqual(Int32Array.of(1));
    await mkdir(join(folder, "train", "c"));
    await writeFile(join(folder, "train", "c", "1.jpg"), "");
    const failed = async (): Promise<string> =>
      (await failureOf(() => openData(spec))).message.replaceAll(folder, "DIR");
    expect(await failed()).toBe("DIR/train/c: there is no PNG image of this class");
    await rm(join(folder, "train", "c"), { recursive: true });
    await rm(join(folder, "test", "b", "1.png"));
    expect(await failed()).toBe("DIR/test: there is no PNG image");
  });

  it("may lie in folders that are links", async () => {
    const folder = await temporaryFolder();
    await writeImages(folder, { "all/a/1.png": grey(1, 1), "all/b/1.png": grey(2, 1), "c/1.png": grey(1, 1) });
    await mkdir(join(folder, "some"));
    await symlink(join("..", "all", "a"), join(folder, "some", "a"));
    await symlink(join("..", "c"), join(folder, "some", "c"));
    await symlink(join("..", "none"), join(folder, "some", "gone"));
    await symlink(join("..", "c", "1.png"), join(folder, "some", "file"));
    const { classNames, train } = await openData({ kind: "images", train: join(folder, "some") });
    expect([classNames, train.length]).toEqual([["a", "c"], 2]);
  });
});

describe("a PNG image", () => {
  /** A chunk as it lies in a file, with its CRC-32. */
  const chunk = (type: string, ...bytes: number[]): Buffer => {
    const body = Buffer.from([...Buffer.from(type), ...bytes]);
    const ends = Buffer.alloc(8);
    ends.writeUInt32BE(bytes.length);
    ends.writeUInt32BE(crc32(body), 4);
    return Buffer.concat([ends.subarray(0, 4), body, ends.subarray(4)]);
  };
  /** @param colour 0 grey, 2 RGB, 3 indexed @param size width and height: 3 pixels in one row */
  const png = (
    colour: number,
    depth: number,
    data: number[],
    before: Buffer[] = [],
    interlaced = 0,
    size = [0, 0, 0, 3, 0, 0, 0, 1],
  ): Buffer =>
    Buffer.concat([
      Buffer.from("\x89PNG\r\n\x1a\n", "latin1"),
      chunk("IHDR", ...size, depth, colour, 0, 0, interlaced),
      ...before,
      chunk("IDAT", ...deflateSync(Uint8Array.of(0, ...data))),
      chunk("IEND"),
    ]);
  const read = async (image: Buffer): Promise<number[]> => {
    const { train } = await open({ "a/1.png": image, "b/1.png": image }, (folder) => ({
      kind: "images",
      train: folder,
    }));
    const values = featuresOf({ train }).map((value) => Math.round(255 * value));
    return values.slice(0, values.length / 2);
  };
  const palette = chunk("PLTE", 1, 2, 3, 4, 5, 6);

  it.each<[what: string, image: Buffer, pixels: number[]]>([
    ["a grey that is transparent", png(0, 8, [7, 9, 200], [chunk("tRNS", 0, 9)]), [7, 0, 200]],
    ["a grey of 2 bits that is transparent", png(0, 2, [0b01_10_11_00], [chunk("tRNS", 0, 2)]), [85, 0, 255]],
    [
      "a colour that is transparent",
      png(2, 8, [1, 2, 3, 1, 2, 4, 5, 5, 5], [chunk("tRNS", 0, 1, 0, 2, 0, 4)]),
      [1, 0, 5, 2, 0, 5, 3, 0, 5],
    ],
    [
      "a palette, of which one is transparent",
      png(3, 8, [0, 1, 0], [palette, chunk("tRNS", 0)]),
      [0, 4, 0, 0, 5, 0, 0, 6, 0],
    ],
    [
      "a profile, which is not read, however long it is",
      png(0, 8, [7, 8, 9], [chunk("iCCP", 0x78, 0, 0, ...deflateSync(Buffer.from("no profile")).subarray(0, -1))]),
      [7, 8, 9],
    ],
    ["a palette that is a suggestion", png(2, 8, [9, 8, 7, 6, 5, 4, 3, 2, 1], [palette]), [9, 6, 3, 8, 5, 2, 7, 4, 1]],
  ])("with %s", async (_, image, pixels) => {
    expect(await read(image)).toEqual(pixels);
  });

  it.each<[what: string, image: Buffer, message: string, hint: string]>([
    [
      "a colour beyond its palette",
      png(3, 8, [0, 2, 0], [palette]),
      "no readable PNG: Error: Incorrect index",
      "again",
    ],
    [
      "packed and interlaced pixels",
      png(0, 1, [0x80, 0, 0x80], [], 1),
      "the PNG is interlaced and has less than 8 bits a channel, which is not read",
      "Save it without interlacing.",
    ],
    [
      "data for more pixels than it has",
      png(0, 8, Array<number>(100).fill(0)),
      "no readable PNG: its data unpacks to more than its 3 × 1 pixels take",
      "again",
    ],
    [
      "too many pixels",
      png(0, 8, [0], [], 0, [0, 0, 0x75, 0x30, 0, 0, 0x75, 0x30]),
      "the image is 30000 × 30000, and no more than 134,217,728 pixels are read",
      "smaller",
    ],
  ])("with %s is refused", async (_, image, message, hint) => {
    const error = await failureOf(() => read(image));
    expect(error.code).toBe("DATA_INVALID");
    expect(error.message).toContain(`a/1.png: ${message}`);
    expect(error.hint).toContain(hint);
  });
});

describe("a split", () => {
  it("holds out a share of the samples, each in one part, by the seed", () => {
    const parts = (seed: number) => split(1000, { ...wholeReading, validation: 0.25, seed });
    const { train, held } = parts(1);
    expect(held).toHaveLength(250);
    expect([...train, ...held].sort((left, right) => left - right)).toEqual([...Array(1000).keys()]);
    expect(parts(1).held).toEqual(held);
    expect(parts(2).held).not.toEqual(held);
    expect(split(2, { ...wholeReading, validation: 0.001 }).held).toHaveLength(1);
  });

  it("takes the place of the test part, which is reserved; standardisation is fitted on what is left to train on", async () => {
    const rows = Array.from({ length: 40 }, (_, row) => `${row * row},${row}`);
    const spec = csv({ standardise: true });
    const files = { "a.csv": `x,y\n${rows.join("\n")}\n`, "b.csv": "x,y\n1,1\n" };
    const opened = await open(files, (folder) => ({ ...spec(folder), test: join(folder, "b.csv") }) as DataSpec, 0.2);
    expect([opened.train.length, opened.test!.length, opened.reserved!.length]).toEqual([32, 8, 1]);
    const values = featuresOf(opened);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
    expect(Math.abs(mean)).toBeLessThan(1e-6);
    expect(variance).toBeCloseTo(1, 5);
    const whole = featuresOf(await open(files, spec));
    expect(values).not.toEqual(whole.slice(0, 32));
  });

  it("names its parts by what they hold", async () => {
    const files = { "a.csv": "x,y\n1,1\n2,2\n3,3\n4,4\n" };
    const [whole, halves] = [await open(files, csv({})), await open(files, csv({}), 0.5)];
    expect(new Set([whole.train, halves.train, halves.test!].map(({ sha256 }) => sha256)).size).toBe(3);
    // Of the same content, a worker agrees with its coordinator.
    expect(halves.sha256).toBe(whole.sha256);
  });
});

it("labels that are one-hot are refused with what to save in their place, and those of positions are not", async () => {
  const opened = (...labels: number[]) => {
    const y = npyBytes("|u1", [3, 2], Uint8Array.from(labels));
    const archive = npzBytes({ x_train: npyBytes("<f4", [3, 2], floats(1, 2, 3, 4, 5, 6)), y_train: y });
    return open({ "a.npz": archive }, (folder) => ({ kind: "npz", path: join(folder, "a.npz"), classes: 2 }));
  };
  const error = await failureOf(() => opened(0, 1, 1, 0, 0, 1));
  expect(error.code).toBe("DATA_INVALID");
  expect(error.message).toMatch(
    /row 0 of .*a\.npz, array y_train: expected a label from 0 to 1, found 2 numbers, .*one-hot/,
  );
  expect(error.hint).toContain("one a sample: save y.argmax(1)");
  for (const labels of [
    [0, 1, 1, 1, 0, 1],
    [0, 1, 0, 0, 0, 1],
  ])
    expect((await opened(...labels)).train.target).toEqual({ kind: "class", classes: 2, positions: 2 });
});

it("JSON Lines end at line feeds, and nowhere else", async () => {
  const text = "a\u2028b\u2029c\u0085d";
  // Longer than what is read of a file at once, so that lines lie across.
  const rows = Array.from({ length: 3000 }, (_, row) => `{"x": ${row}, "text": "${text} ${row % 2}", "y": 0}`);
  const { train } = await open({ "a.jsonl": `\ufeff${rows.join("\r\n\n")}` }, (folder) => ({
    kind: "jsonLines",
    train: join(folder, "a.jsonl"),
    target: "y",
    columns: { text: "category" },
  }));
  expect([train.length, train.sampleShape]).toEqual([3000, [3]]);
  expect(featuresOf({ train }).slice(-6)).toEqual([2998, 1, 0, 2999, 0, 1]);
});

it("a row of a table is encoded as its training data was", async () => {
  const { encoders } = await open(
    { "a.csv": "c,x,y\nred,1,0\nblue,3,1\n" },
    csv({ columns: { c: "category" }, standardise: true }),
  );
  expect([...encoders!.row!(["red", "3"], "row.csv")]).toEqual([0, 1, 1]);
  expect(() => encoders!.row!(["red"], "row.csv")).toThrow(
    "row.csv: expected 2 values, one for each column but the target's, found 1",
  );
});

describe("a learned vocabulary", () => {
  it("joins the most frequent pair again and again, and loses nothing", () => {
    const bytes = Buffer.from("low low low lower lowest newest newest");
    const merges = learnMerges(bytes, 6);
    const tokens = tokensOf(bytes, merges);
    expect(tokens.length).toBeLessThan(bytes.length / 2);
    const spelled = (token: number): number[] => (token < 256 ? [token] : merges[token - 256]!.flatMap(spelled));
    expect(Buffer.from([...tokens].flatMap(spelled)).toString()).toBe(bytes.toString());
    // "lo" and "ow" are as frequent: the smaller number wins, and "low" follows.
    expect(spelled(256)).toEqual([...Buffer.from("lo")]);
    expect(spelled(257)).toEqual([...Buffer.from("low")]);
  });

  it("joins within words: letters, digits and what is not ASCII, with one other byte before them", () => {
    const bytes = Buffer.from("ab ab  ab\n\nab, 12,12 ää ää .. .. .. __a __a");
    const spelled = new Map(Array.from({ length: 256 }, (_, byte) => [byte, String.fromCodePoint(byte)]));
    learnMerges(bytes, 50).forEach(([left, right], at) => {
      spelled.set(256 + at, `${spelled.get(left)}${spelled.get(right)}`);
    });
    const learned = [...spelled.values()].slice(256);
    // What is not ASCII are two bytes a letter.
    expect(learned.filter((piece) => !piece.includes("\xc3"))).toEqual(["ab", " ab", "12", "_a"]);
    expect(learned.at(-1)).toBe(" \xc3\xa4\xc3\xa4");
  });

  it("is not learned from a word without end", async () => {
    const error = await failureOf(() => learnMerges(Buffer.alloc(100_000_002, "x").fill(" ", 0, 1), 1, "a.txt"));
    expect(error.code).toBe("DATA_INVALID");
    expect(error.message).toBe("a.txt at offset 0: a word of 100000002 bytes, of which the longest may have 100000000");
  });

  it("ends where no pair occurs twice", () => {
    expect(learnMerges(Buffer.from("abc"), 100)).toEqual([]);
  });
});

describe("a dataset of one's own", () => {
  const own = { length: 3, sampleShape: [2], target: { kind: "values", width: 1 } as const };

  it("whose numbers are not finite is refused with the row", async () => {
    const folder = await temporaryFolder();
    const batch = (indices: Uint32Array, rows: Float32Array): void =>
      indices.forEach((index) => rows.set([index, index === 2 ? NaN : 0], 2 * index));
    const spec = await writeOwn({ train: { ...own, batch } }, folder);
    expect((await failureOf(() => openData(spec))).message).toContain("feature 1 of row 2 of");
  });

  it("of any length comes back, every row with its targets", async () => {
    const [length, width] = [600, 2];
    const batch = (indices: Uint32Array, rows: Float32Array, targets: Int32Array | Float32Array): void =>
      indices.forEach((index, row) => {
        rows.set([index, -index], 2 * row);
        targets.set([index / 4, 1 - index], width * row);
      });
    const spec = await writeOwn(
      { train: { ...own, length, target: { kind: "values", width }, batch } },
      await temporaryFolder(),
    );
    const { train } = await openData(spec);
    const features = new Float32Array(2 * length);
    const targets = new Float32Array(width * length);
    train.batch(
      Array.from({ length }, (_, index) => index),
      features,
      targets,
    );
    const all = (value: (index: number) => number[]): Float32Array =>
      Float32Array.from(Array.from({ length }, (_, index) => value(index)).flat());
    expect(features).toEqual(all((index) => [index, -index]));
    expect(targets).toEqual(all((index) => [index / 4, 1 - index]));
  });

  it.each<[string, unknown, string]>([
    ["sampleShape", { target: own.target }, "sampleShape: found undefined, expected a list of whole numbers"],
    ["target", { sampleShape: [2] }, "target: found undefined, expected {"],
    ["a number in its target", { ...own, target: { kind: "class" } }, "target: found { kind: 'class' }, expected {"],
    ["batch", own, "batch: found undefined, expected a function"],
    ["anything", 3, "sampleShape: found undefined"],
  ])("without %s is refused by name", async (_, dataset, message) => {
    const whole = { ...own, batch: (): void => {} };
    for (const parts of [{ train: dataset }, { train: whole, test: dataset }]) {
      const write = async (): Promise<unknown> => writeOwn(parts as never, await temporaryFolder());
      const error = await failureOf(write);
      expect([error.code, error.message]).toEqual(["DATA_INVALID", expect.stringContaining(message)]);
      expect(error.message).toContain("test" in parts ? "data.test." : "data.train.");
      expect(error.hint).toContain("{ length, sampleShape, target, batch }");
    }
  });

  it("that is given under another name than train and test is refused, and not left out", async () => {
    const whole = { ...own, batch: (): void => {} };
    const error = await failureOf(async () =>
      writeOwn({ train: whole, tests: whole } as never, await temporaryFolder()),
    );
    expect(error).toMatchObject({ code: "DATA_INVALID", message: "data.tests: unknown key; did you mean test?" });
  });

  it("that returns its samples, and writes none, is refused instead of trained on as zeros", async () => {
    const returned = () => ({ inputs: Float32Array.of(1, 2), targets: [1] });
    for (const batch of [returned, () => Promise.resolve(returned())]) {
      const error = await failureOf(async () =>
        writeOwn({ train: { ...own, batch } as never }, await temporaryFolder()),
      );
      expect(error.code).toBe("DATA_INVALID");
      expect(error.message).toMatch(
        /^data\.train\.batch: found \{.*\} returned and nothing but zeros in features, expected/,
      );
      expect(error.hint).toContain("batch(indices, features, targets)");
    }
  });

  it("may return anything where it writes its samples too", async () => {
    const batch = (indices: Uint32Array, rows: Float32Array) => indices.map((index) => (rows[2 * index] = 1));
    await expect(writeOwn({ train: { ...own, batch } as never }, await temporaryFolder())).resolves.toBeDefined();
    const zeros = (_: Uint32Array, rows: Float32Array) => rows.fill(0);
    await expect(
      writeOwn({ train: { ...own, batch: zeros } as never }, await temporaryFolder()),
    ).resolves.toBeDefined();
  });

  it("keeps its name while its content is the same, and leaves nothing behind when it fails", async () => {
    const folder = await temporaryFolder();
    const batch = (): void => {};
    const first = await writeOwn({ train: { ...own, batch } }, folder);
    expect(await writeOwn({ train: { ...own, batch } }, folder)).toEqual(first);
    const broken = { ...own, batch: () => Promise.reject(new Error("mine")) };
    await expect(writeOwn({ train: broken }, folder)).rejects.toThrow("mine");
    const { readdir } = await import("node:fs/promises");
    expect(await readdir(folder)).toHaveLength(1);
  });
});

it.each<[string, DataSpec]>([
  ["jsonLines", { kind: "jsonLines", train: "/nowhere/a.jsonl", target: "y" }],
  ["npy", { kind: "npy", features: "/nowhere/x.npy", targets: "/nowhere/y.npy" }],
  ["npz", { kind: "npz", path: "/nowhere/a.npz" }],
  ["images", { kind: "images", train: "/nowhere" }],
  ["text", { kind: "text", train: "/nowhere/a.txt", length: 1 }],
  ["safetensors", { kind: "safetensors", train: "/nowhere/a.safetensors" }],
  ["cifar", { kind: "cifar", path: "/nowhere" }],
])("names what is missing of %s", async (_, spec) => {
  const error = await failureOf(() => openData(spec));
  expect(error.code).toBe("DATA_MISSING");
  expect(error.message).toMatch(/^cannot read \/nowhere.*: ENOENT$/);
});

it("a file is read in pieces that the system can give at once, from any place on", async () => {
  const path = join(await temporaryFolder(), "file");
  await writeFile(
    path,
    Uint8Array.from({ length: 20 }, (_, at) => at),
  );
  const into = new Uint8Array(9);
  expect(await readInto(into, path, 7, 4)).toBe(9);
  expect([...into]).toEqual([7, 8, 9, 10, 11, 12, 13, 14, 15]);
  expect(await readInto(into, path, 15, 4)).toBe(5);
  expect([...into.subarray(0, 6)]).toEqual([15, 16, 17, 18, 19, 12]);
});

it("what is too large to be read whole is called that", async () => {
  const path = join(await temporaryFolder(), "a.txt");
  await writeFile(path, "");
  // All of it is a hole: it takes no room, and nothing of it is read.
  await truncate(path, 2 ** 31);
  const error = await failureOf(() => openData({ kind: "text", train: path, length: 8 }));
  expect([error.code, error.message]).toEqual([
    "DATA_INVALID",
    `${path} has 2 GiB or more, and what it holds is read whole`,
  ]);
  expect(error.hint).not.toContain("exists");
});
