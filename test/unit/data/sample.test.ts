import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { encode, type ImageData } from "fast-png";
import { describe, expect, it } from "vitest";
import { openMnist } from "../../../shared/data/mnist.ts";
import { openData } from "../../../shared/data/open.ts";
import { readSample } from "../../../shared/data/sample.ts";
import type { DataSpec } from "../../../shared/data/spec.ts";
import { product } from "../../../shared/shape.ts";
import { writeImages } from "../../support/data-files.ts";
import { failureOf } from "../../support/errors.ts";
import { temporaryFolder } from "../../support/files.ts";

async function readFrom(
  name: string,
  content: Uint8Array | string,
  shape: readonly number[],
  stored: "uint8" | "float32" = "float32",
): Promise<number[]> {
  const path = join(await temporaryFolder(), name);
  await writeFile(path, content);
  return Array.from(await readSample(path, { train: { sampleShape: shape, stored } }));
}

const readPng = (image: ImageData, shape: readonly number[]): Promise<number[]> =>
  readFrom("d.png", encode(image), shape);

describe("an image", () => {
  it("of an MNIST digit becomes the floats the model was trained on", async () => {
    const { test } = await openMnist();
    const row = new Float32Array(784);
    for (const index of [0, 1, 2, 3]) {
      test.batch([index], row, new Int32Array(1));
      const data = Uint8Array.from(row, (value) => Math.round(value * 255));
      for (const shape of [[28, 28], [1, 28, 28], [784]])
        expect(await readPng({ width: 28, height: 28, channels: 1, data }, shape)).toEqual([...row]);
    }
  });

  it("with dark ink on a light ground is inverted", async () => {
    const data = Uint8Array.of(255, 255, 255, 255, 51, 255, 255, 255, 255);
    const sample = await readPng({ width: 3, height: 3, channels: 1, data }, [3, 3]);
    expect(sample).toEqual([0, 0, 0, 0, Math.fround(1 - Math.fround(0.2)), 0, 0, 0, 0]);
  });

  it("that is larger is averaged over the area of each pixel", async () => {
    const data = Uint8Array.of(0, 0, 0, 0, 0, 255, 51, 0, 0, 51, 0, 0, 0, 0, 0, 0);
    const sample = await readPng({ width: 4, height: 4, channels: 1, data }, [2, 2]);
    expect(sample).toEqual([0.25, 0.05, 0.05, 0].map(Math.fround));
  });

  it("of a size that is no multiple is averaged by the share of each pixel", async () => {
    const data = Uint8Array.of(0, 0, 0, 0, 255, 0, 0, 0, 0);
    const sample = await readPng({ width: 3, height: 3, channels: 1, data }, [2, 2]);
    // Each of the four areas is 1.5 × 1.5 pixels, of which 0.5 × 0.5 is the white one.
    expect(sample).toEqual(Array(4).fill(Math.fround(0.25 / 2.25)));
  });

  it("that is smaller is enlarged", async () => {
    const data = Uint8Array.of(255, 0, 0, 0);
    expect(await readPng({ width: 2, height: 2, channels: 1, data }, [4, 4])).toEqual([
      1, 1, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ]);
  });

  it("of another aspect keeps it, centred on black", async () => {
    const data = Uint8Array.of(255, 0, 0, 0, 0, 0, 0, 255);
    expect(await readPng({ width: 2, height: 4, channels: 1, data }, [4, 4])).toEqual([
      0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0,
    ]);
  });

  const ink = Math.fround(0.587);
  it.each<[what: string, image: Omit<ImageData, "width" | "height">, pixel: number]>([
    ["colours", { channels: 3, data: Uint8Array.of(0, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0) }, ink],
    ["16 bits", { channels: 1, depth: 16, data: Uint16Array.of(13107, 0, 0, 0) }, Math.fround(0.2)],
    ["1 bit", { channels: 1, depth: 1, data: Uint8Array.of(0x80, 0) }, 1],
    ["2 bits", { channels: 1, depth: 2, data: Uint8Array.of(0x80, 0) }, Math.fround(2 / 3)],
    ["4 bits", { channels: 1, depth: 4, data: Uint8Array.of(0x30, 0) }, Math.fround(0.2)],
    ["light ink on nothing", { channels: 2, data: Uint8Array.of(255, 255, 0, 0, 0, 0, 0, 0) }, 1],
    ["dark ink on nothing", { channels: 2, data: Uint8Array.of(0, 255, 0, 0, 0, 0, 0, 0) }, 1],
    [
      "half transparent ink",
      { channels: 4, data: Uint8Array.of(0, 0, 0, 51, ...Array<number>(12).fill(0)) },
      Math.fround(1 - Math.fround(0.8)),
    ],
    [
      "a palette",
      {
        channels: 1,
        palette: [
          [0, 0, 0],
          [0, 255, 0],
        ],
        data: Uint8Array.of(1, 0, 0, 0),
      },
      ink,
    ],
  ])("with %s is read", async (_, image, pixel) => {
    expect(await readPng({ width: 2, height: 2, ...image }, [2, 2])).toEqual([pixel, 0, 0, 0]);
  });

  it("that is damaged is refused", async () => {
    const bytes = encode({ width: 2, height: 2, channels: 1, data: new Uint8Array(4) });
    for (const damaged of [
      bytes.subarray(0, 40),
      bytes.map((byte, at) => (at === 20 ? byte ^ 1 : byte)),
      new Uint8Array(),
    ]) {
      const error = await failureOf(() => readFrom("d.png", damaged, [2, 2]));
      expect(error.code).toBe("DATA_INVALID");
      expect(error.message).toContain("d.png: no readable PNG");
    }
  });

  it.each([[[3]], [[2, 3, 4]], [[3, 28, 28]]])("is refused for a model with the input %j", async (shape) => {
    const error = await failureOf(() => readPng({ width: 2, height: 2, channels: 1, data: new Uint8Array(4) }, shape));
    expect(error.code).toBe("SHAPE_MISMATCH");
    expect(error.message).toContain(`is an image, the model's input [${shape.join(", ")}] is none`);
  });
});

/** Asks about files whose samples are those of the training data, and compares the bits. */
async function expectSamples(spec: DataSpec, paths: readonly string[]): Promise<void> {
  const data = await openData(spec);
  const width = product(data.train.sampleShape);
  const row = new Float32Array(width);
  for (const [index, path] of paths.entries()) {
    data.train.batch([index], row, new Int32Array(1));
    expect(await readSample(path, data)).toEqual(row);
  }
}

describe("what the training data was read by, reads what is asked:", () => {
  const light = { width: 2, height: 3, channels: 1, data: [255, 240, 250, 10, 255, 230] } as const;
  const colour = { width: 2, height: 3, channels: 3, data: [...Array(18).keys()].map((each) => 14 * each) } as const;
  const clear = { width: 2, height: 3, channels: 2, data: [200, 255, 200, 0, 200, 128, 9, 9, 0, 255, 255, 1] } as const;

  it.each([
    ["in grey, neither inverted nor moved", { "a/1.png": light, "b/1.png": clear }, {}],
    ["in colour", { "a/1.png": colour, "a/2.png": light, "b/1.png": clear }, {}],
    ["in grey as it is said", { "a/1.png": light, "b/1.png": colour }, { channels: 1 as const }],
  ])("images %s", async (_, images, options) => {
    const folder = await temporaryFolder();
    await writeImages(folder, images);
    const paths = Object.keys(images).map((name) => join(folder, name));
    await expectSamples({ kind: "images", train: folder, ...options }, paths);
  });

  it("images of that size alone, in colour as those of a test part", async () => {
    const folder = await temporaryFolder();
    await writeImages(folder, { "a/1.png": light, "b/1.png": clear });
    const data = await openData({ kind: "images", train: folder });
    await writeImages(folder, { "small.png": { ...light, height: 2, data: light.data.slice(2) }, "red.png": colour });
    const messageOf = async (name: string): Promise<string> =>
      (await failureOf(() => readSample(join(folder, name), data))).message.replaceAll(folder, "DIR");
    expect(await messageOf("small.png")).toBe("DIR/small.png: the image is 2 × 2, DIR/a/1.png is 2 × 3");
    const luma = await readSample(join(folder, "red.png"), data);
    // 0.299 · 0 + 0.587 · 14 + 0.114 · 28
    expect(luma[0]).toBe(Math.fround(Math.round(0.587 * 14 + 0.114 * 28) / 255));
  });

  it("CIFAR's images, channel by channel", async () => {
    const folder = await temporaryFolder();
    const planes = Uint8Array.from({ length: 3072 }, (_, at) => (7 * at) % 256);
    await writeFile(join(folder, "data_batch_1.bin"), Uint8Array.of(4, ...planes));
    const data = Uint8Array.from(planes, (_, at) => planes[(at % 3) * 1024 + Math.floor(at / 3)]!);
    await writeFile(join(folder, "4.png"), encode({ width: 32, height: 32, channels: 3, data }));
    await expectSamples({ kind: "cifar", path: folder }, [join(folder, "4.png")]);
  });

  it.each<[options: { vocabulary?: number }, length: number, learned: string[]]>([
    [{}, 5, []],
    [{ vocabulary: 258 }, 2, ['"ab"', '" ab"']],
  ])("a text by its last tokens %j", async (options, length, learned) => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, "a.txt"), "ab ab ab xab y");
    // The first sample's tokens, with some in front, and what they are called.
    await writeFile(join(folder, "so far.txt"), "xab ab");
    await writeFile(join(folder, "short.txt"), "a");
    const spec = { kind: "text", train: join(folder, "a.txt"), length, ...options } as const;
    await expectSamples(spec, [join(folder, "so far.txt")]);
    const data = await openData(spec);
    expect(data.classNames).toHaveLength(256 + learned.length);
    expect(data.classNames![10]).toBe(String.raw`"\n"`);
    expect(data.classNames![0xe4]).toBe(String.raw`"\xe4"`);
    expect(data.classNames!.slice(256)).toEqual(learned);
    const error = await failureOf(() => readSample(join(folder, "short.txt"), data));
    expect(error.message).toContain(`short.txt: 1 tokens, a sample has ${length}`);
  });

  describe("a row of a table, in a .csv file", () => {
    const table = 'zip,city,rooms,price\n02134,"Boston, South",3,1\n2134,New York,+4,2\n';
    const openTable = async (): Promise<[folder: string, spec: DataSpec]> => {
      const folder = await temporaryFolder();
      await writeFile(join(folder, "a.csv"), table);
      const columns = { zip: "category", city: "category" } as const;
      return [folder, { kind: "csv", train: join(folder, "a.csv"), target: "price", columns }];
    };

    it("with zeros in front, spaces and quotes", async () => {
      const [folder, spec] = await openTable();
      const paths = ["1.csv", "2.csv"].map((name) => join(folder, name));
      await writeFile(paths[0]!, '02134,"Boston, South",3\n');
      await writeFile(paths[1]!, "2134,New York,+4");
      const data = await openData(spec);
      const row = new Float32Array(5);
      for (const [index, path] of paths.entries()) {
        data.train.batch([index], row, new Float32Array(1));
        expect(await readSample(path, data)).toEqual(row);
      }
    });

    it.each([
      ["2134,New York,4\n2134,New York,5\n", ":2: expected one row, found a second one"],
      ["", ": expected 3 values, one for each column but the target's, found 0"],
      ["2134,York,4", ':1: column 2 (city): "York" is no category of the training data'],
      ['2134,"New York,4', ":1: a quote is opened in the row that begins here, and not closed"],
    ])("as %j is refused", async (text, message) => {
      const [folder, spec] = await openTable();
      const path = join(folder, "row.csv");
      await writeFile(path, text);
      const data = await openData(spec);
      const error = await failureOf(() => readSample(path, data));
      expect([error.code, error.message]).toEqual(["DATA_INVALID", expect.stringContaining(`${path}${message}`)]);
    });
  });

  it("names classes as folders and labels do", async () => {
    const folder = await temporaryFolder();
    await writeImages(folder, { "rose/1.png": light, "oak/1.png": light });
    expect((await openData({ kind: "images", train: folder })).classNames).toEqual(["oak", "rose"]);
    await writeFile(join(folder, "a.csv"), "x,y\n1,oak\n2,rose\n");
    const csv = { kind: "csv", train: join(folder, "a.csv"), target: "y" } as const;
    expect((await openData({ ...csv, classes: ["rose", "oak"] })).classNames).toEqual(["rose", "oak"]);
  });
});

describe("a row of values", () => {
  it.each([
    ["row.csv", "0.5,1,-2e1\n"],
    ["row.csv", "0.5, 1, -20"],
    ["row.txt", "0.5 1\n-20\n"],
    ["row.json", "[0.5, 1, -20]"],
    ["row.JSON", "[[0.5], [1, -20]]"],
  ])("is read from %s: %j", async (name, text) => {
    expect(await readFrom(name, text, [3])).toEqual([0.5, 1, -20]);
    expect(await readFrom(name, text, [3], "uint8")).toEqual([0.5 / 255, 1 / 255, -20 / 255].map(Math.fround));
  });

  it.each([
    ["row.csv", "1,2", "SHAPE_MISMATCH", "expected 3 values for the model's input [3], found 2"],
    ["row.csv", "1,2,3\n4,5,6", "SHAPE_MISMATCH", "found 6"],
    ["row.csv", "1,,3", "DATA_INVALID", 'value 2 is "", expected a number'],
    ["row.csv", "a,b,c\n1,2,3", "DATA_INVALID", 'value 1 is "a", expected a number'],
    ["row.txt", "", "DATA_INVALID", 'value 1 is "", expected a number'],
    ["row.txt", "1 2 1e39", "DATA_INVALID", "value 3 is 1e+39, expected a number"],
    ["row.json", '[1, "2", 3]', "DATA_INVALID", 'value 2 is "2", expected a number'],
    ["row.json", '{"a": 1}', "DATA_INVALID", 'value 1 is {"a":1}, expected a number'],
    ["row.json", "[1, 2", "DATA_INVALID", "SyntaxError"],
    ["row.xlsx", "1,2,3", "DATA_INVALID", "expected a file that ends in .png, .csv, .txt or .json"],
  ])("in %s as %j is refused", async (name, text, code, message) => {
    const error = await failureOf(() => readFrom(name, text, [3]));
    expect(error.code).toBe(code);
    expect(error.message).toContain(message);
    expect(error.message).toContain(name);
  });

  it("in JSON means what it means in the lines that were trained on: true, false and what is missing", async () => {
    const folder = await temporaryFolder();
    const lines = ['{"x": [1, true], "c": null, "y": 0}', '{"x": [2, false], "c": true, "y": 1}'];
    await writeFile(join(folder, "a.jsonl"), lines.join("\n"));
    await writeFile(join(folder, "row.json"), "[3, true, null]");
    const train = join(folder, "a.jsonl");
    const data = await openData({ kind: "jsonLines", train, target: "y", columns: { c: "category" } });
    expect([...(await readSample(join(folder, "row.json"), data))]).toEqual([3, 1, 1, 0]);
  });

  it.each(["/nowhere/a.png", "/nowhere/a.csv", "/nowhere/a.json"])("missing at %s is named", async (path) => {
    const error = await failureOf(() => readSample(path, { train: { sampleShape: [3, 3], stored: "float32" } }));
    expect(error).toMatchObject({ code: "DATA_MISSING", message: `cannot read ${path}: ENOENT` });
  });
});
