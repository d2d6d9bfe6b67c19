/** Data that has no room in memory: its files are open until it is closed, and where it is refused none is. As Linux tells. */
import { createHash } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { encode } from "fast-png";
import { describe, expect, it } from "vitest";
import { ComputePool, readHere } from "../../../shared/compute/pool.ts";
import { contentBytes, createDataset, type Dataset } from "../../../shared/data/dataset.ts";
import { namesOf, openData, type OpenedData } from "../../../shared/data/open.ts";
import { wholeReading } from "../../../shared/data/reading.ts";
import type { DataSpec } from "../../../shared/data/spec.ts";
import type { RunPlan } from "../../../shared/protocol/messages.ts";
import { dataOf } from "../../../worker/data.ts";
import type { Source } from "../../../worker/download.ts";
import { bytesOf, npyBytes, safetensorsBytes } from "../../support/data-files.ts";
import { failureOf } from "../../support/errors.ts";
import { idxBytes, temporaryFolder } from "../../support/files.ts";
import { openFiles, SPILLED } from "../../support/open-files.ts";
import { imagePlan } from "../../support/regression-plan.ts";

const inFiles = { ...wholeReading, memory: 0 };

/** Of so many samples there are more values than are held before there is a file for them. */
const SAMPLES = 800;
const rows = `${Array.from({ length: SAMPLES }, (_, row) => `${row},${-row},${row % 2}`).join("\n")}\n`;
const objects = `${Array.from({ length: SAMPLES }, (_, row) => `{"x":[${row},1],"y":${row % 2}}`).join("\n")}\n`;
const floats = bytesOf(Float32Array.from({ length: 2 * SAMPLES }, (_, index) => index));
const targets = bytesOf(Int32Array.from({ length: SAMPLES }, (_, index) => index % 2));
const tensors = safetensorsBytes({ features: ["F32", [SAMPLES, 2], floats], targets: ["I32", [SAMPLES], targets] });
const square = (side: number): Uint8Array =>
  encode({ width: side, height: side, channels: 1, depth: 8, data: new Uint8Array(side * side) });
const record = (label: number): Uint8Array => new Uint8Array(3073).fill(label, 0, 1);
const labels = idxBytes([2], [0, 1]);

interface Kind {
  readonly files: Readonly<Record<string, Uint8Array | string>>;
  readonly good: (folder: string) => DataSpec;
  /** Its training part is as good, and is read before there is something wrong with the test part. */
  readonly bad: (folder: string) => DataSpec;
}

const kinds: Readonly<Record<string, Kind>> = {
  csv: {
    files: { a: rows, b: `${rows}1,x,0\n` },
    good: (folder) => ({ kind: "csv", train: join(folder, "a"), target: 2, header: false }),
    bad: (folder) => ({ kind: "csv", train: join(folder, "a"), test: join(folder, "b"), target: 2, header: false }),
  },
  jsonLines: {
    files: { a: objects, b: `${objects}{}\n` },
    good: (folder) => ({ kind: "jsonLines", train: join(folder, "a"), target: "y" }),
    bad: (folder) => ({ kind: "jsonLines", train: join(folder, "a"), test: join(folder, "b"), target: "y" }),
  },
  npy: {
    files: { x: npyBytes("<f4", [SAMPLES, 2], floats), y: npyBytes("<i4", [SAMPLES], targets) },
    good: (folder) => ({ kind: "npy", features: join(folder, "x"), targets: join(folder, "y") }),
    bad: (folder) => ({
      kind: "npy",
      features: join(folder, "x"),
      targets: join(folder, "y"),
      testFeatures: join(folder, "x"),
      testTargets: join(folder, "z"),
    }),
  },
  safetensors: {
    files: { a: tensors, b: tensors.subarray(0, -1) },
    good: (folder) => ({ kind: "safetensors", train: join(folder, "a") }),
    bad: (folder) => ({ kind: "safetensors", train: join(folder, "a"), test: join(folder, "b") }),
  },
  images: {
    files: {
      "a/one/1.png": square(32),
      "a/two/1.png": square(32),
      "b/one/1.png": square(32),
      "b/one/2.png": square(32),
      "b/two/1.png": square(8),
    },
    good: (folder) => ({ kind: "images", train: join(folder, "a") }),
    bad: (folder) => ({ kind: "images", train: join(folder, "a"), test: join(folder, "b") }),
  },
  text: {
    files: { a: "a text ".repeat(100), b: "a text" },
    good: (folder) => ({ kind: "text", train: join(folder, "a"), length: 8 }),
    bad: (folder) => ({ kind: "text", train: join(folder, "a"), test: join(folder, "b"), length: 8 }),
  },
  cifar: {
    files: { "a/data_batch_1.bin": record(1), "b/data_batch_1.bin": record(1), "b/test_batch.bin": record(10) },
    good: (folder) => ({ kind: "cifar", path: join(folder, "a") }),
    bad: (folder) => ({ kind: "cifar", path: join(folder, "b") }),
  },
  idx: {
    files: Object.fromEntries(
      Object.entries({ a: 2, b: 1 }).flatMap(([part, side]) => [
        [`${part}/train-images-idx3-ubyte`, idxBytes([2, 2, 2], new Uint8Array(8))],
        [`${part}/train-labels-idx1-ubyte`, labels],
        [`${part}/t10k-images-idx3-ubyte`, idxBytes([2, side, side], new Uint8Array(2 * side * side))],
        [`${part}/t10k-labels-idx1-ubyte`, labels],
      ]),
    ),
    good: (folder) => ({ kind: "idx", path: join(folder, "a") }),
    bad: (folder) => ({ kind: "idx", path: join(folder, "b") }),
  },
};

async function written({ files }: Kind): Promise<string> {
  const folder = await temporaryFolder();
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), content);
  }
  return folder;
}

describe.runIf(process.platform === "linux")("files of data", () => {
  it.each(Object.entries(kinds))("of the kind %s are closed with it", async (_, kind) => {
    const folder = await written(kind);
    const data = await openData(kind.good(folder), inFiles);
    expect(openFiles(folder, SPILLED).length).toBeGreaterThan(0);
    data.close();
    expect(openFiles(folder, SPILLED)).toEqual([]);
    // Once: their numbers may be others' by now.
    data.close();
  });

  it.each(Object.entries(kinds))("of the kind %s are closed where it is refused", async (_, kind) => {
    const folder = await written(kind);
    expect((await failureOf(() => openData(kind.bad(folder), inFiles))).code).toMatch(/^DATA_/);
    // What was being read of a text is closed a moment later.
    await expect.poll(() => openFiles(folder, SPILLED)).toEqual([]);
  });

  it("that has room in memory are closed once it is there", async () => {
    const folder = await written(kinds["npy"]!);
    await openData(kinds["npy"]!.good(folder));
    expect(openFiles(folder)).toEqual([]);
  });

  it("that is not the run's, or whose run cannot be computed, are closed; else with the pool that has read it", async () => {
    const layers = [{ kind: "flatten" }, { kind: "dense", units: 1 }] as const;
    const plan = { ...(await imagePlan({ samples: 8, batch: 4, shards: 2, layers })), dataMemory: 0 };
    const { features } = plan.data as Extract<DataSpec, { kind: "npy" }>;
    const another = { ...plan, dataSha256: "0".repeat(64) };
    expect((await failureOf(() => readHere(another))).code).toBe("DATA_MISMATCH");
    expect(openFiles(features)).toEqual([]);
    const broken = { ...plan, train: plan.evaluate };
    expect((await failureOf(() => ComputePool.open(broken, 1, true))).code).toBe("GRAPH_INVALID");
    expect(openFiles(features)).toEqual([]);
    for (const isApart of [true, false]) {
      const pool = await ComputePool.open(plan, 1, isApart);
      await pool.fingerprint();
      expect(openFiles(features)).toHaveLength(2);
      await pool.close();
      expect(openFiles(features)).toEqual([]);
    }
  });

  it("that a worker has fetched before are closed with it, and where its parts do not belong together", async () => {
    const folder = await temporaryFolder();
    await mkdir(join(folder, "data"));
    const part = (width: number): Dataset =>
      createDataset({
        sampleShape: [width],
        target: { kind: "class", classes: 2 },
        features: new Uint8Array(4 * width),
        targets: new Int32Array(4),
      });
    const read = async (train: Dataset, test: Dataset): Promise<OpenedData> => {
      const names = namesOf({ train, test });
      const dataSha256 = createHash("sha256").update(names).digest("hex");
      await writeFile(join(folder, "data", dataSha256), names);
      for (const each of [train, test])
        await writeFile(join(folder, "data", each.sha256), Buffer.concat([...contentBytes(each.transfer())]));
      const data: DataSpec = { kind: "idx", path: join(folder, "none") };
      const plan = { data, validation: 0, seed: 1, dataMemory: 0, dataSha256 } as RunPlan;
      // Nobody is asked for what is there.
      return dataOf(plan, {} as Source, { LOCKSTEP_CACHE: folder }, () => {});
    };
    const data = await read(part(2), part(2));
    expect(openFiles(folder)).toHaveLength(2);
    data.close();
    expect(openFiles(folder)).toEqual([]);
    expect((await failureOf(() => read(part(2), part(1)))).code).toBe("DATA_INVALID");
    expect(openFiles(folder)).toEqual([]);
  });
});
