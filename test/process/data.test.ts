/** Training from files as people have them, and workers that are not let in: with other data, or of another version. */
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { WebSocket } from "ws";
import { decodeFrame, encodeFrame } from "../../shared/protocol/codec.ts";
import { PROTOCOL_VERSION } from "../../shared/protocol/messages.ts";
import type { CoordinatorMessage } from "../../shared/protocol/messages.ts";
import { checkCoordinatorMessage } from "../../shared/protocol/validate.ts";
import { randomStream } from "../../shared/random.ts";
import { version } from "../../shared/version.ts";
import { readRun } from "../../coordinator/run-folder/folder.ts";
import { writeImages } from "../support/data-files.ts";
import { temporaryFolder } from "../support/files.ts";
import { asEvents, lockstep, worker } from "../support/lockstep.ts";
import type { Lockstep } from "../support/lockstep.ts";
import { writeMnistPart } from "../support/mnist.ts";
import { readByRules } from "../support/safetensors-rules.ts";

const idxFiles = ["train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"];

/** Writes a CSV file of `rows` lines behind a header. */
const writeCsv = (path: string, header: string, rows: number, line: (row: number) => string): Promise<void> =>
  writeFile(path, `${[header, ...Array.from({ length: rows }, (_, row) => line(row))].join("\n")}\n`);

const train = (folder: string, name: string, ...more: string[]): Lockstep =>
  lockstep(["train", ...more, "--name", name, ...asEvents], folder);

test("a CSV file with a header and a named target trains a classifier", async () => {
  const folder = await temporaryFolder();
  const { uniform } = randomStream(7, "probe");
  // Flowers around one centre a species; the last column would be easily mistaken for a label.
  const flower = (row: number): string =>
    `${(row % 3) + 0.9 * uniform(2 * row)},${row % 3},${((2 * row) % 3) + 0.9 * uniform(2 * row + 1)},${row % 2}`;
  const header = "sepal length,species,petal length,garden";
  await writeCsv(join(folder, "flowers.csv"), header, 300, flower);
  await writeCsv(join(folder, "more.csv"), header, 60, (row) => flower(row + 3000));
  await writeFile(
    join(folder, "flowers.yaml"),
    `data: { csv: { train: flowers.csv, test: more.csv, target: species, classes: 3 } }
model: { layers: [{ dense: { units: 16, activation: relu } }, { dense: 3 }] }
batch: 30
epochs: 20
`,
  );
  const { testAccuracy } = await train(folder, "flowers", "flowers.yaml").result();
  expect(testAccuracy).toBeGreaterThan(0.95);
  await writeFile(join(folder, "one.csv"), "2.4, 1.4, 0");
  const { stdout } = await lockstep(["predict", "flowers", "--input", "one.csv"], folder).finished;
  expect(stdout).toMatch(/^2 +\d+\.\d\d %\n/);
});

test("images train the usual network for as many classes as there are folders, also when a run of the same config goes on", async () => {
  const folder = await temporaryFolder();
  const image = (grey: number) => ({ width: 2, height: 2, channels: 1 as const, data: Array<number>(4).fill(grey) });
  const images = ["dark", "grey", "light"].flatMap((name, label) =>
    Array.from({ length: 8 }, (_, each) => [`${name}/${each}.png`, image(100 * label + each)] as const),
  );
  await writeImages(join(folder, "shades"), Object.fromEntries(images));
  const config = "data: { images: shades }\nmodel: { loss: crossEntropy }\nbatch: 8\nworkers: 1\n";
  await writeFile(join(folder, "shades.yaml"), config);
  const once = train(folder, "shades", "shades.yaml", "--epochs", "1");
  expect((await once.event("listening")).parameters).toBe(4 * 64 + 64 + 64 * 3 + 3);
  await once.result();
  const again = lockstep(["train", "shades.yaml", "--resume", "shades", "--epochs", "2", ...asEvents], folder);
  expect((await again.result()).outcome).toBe("completed");
  const { config: kept } = await readRun(join(folder, "runs", "shades"));
  expect(kept).toMatchObject({ model: { layers: [{ units: 64 }, { kind: "dense", units: 3 }] } });
});

test("a regression from CSV finds the line, with the same bits by 1 and by 2 workers", async () => {
  const folder = await temporaryFolder();
  const { uniform } = randomStream(8, "probe");
  const house = (row: number): string => {
    const [size, age] = [uniform(2 * row), uniform(2 * row + 1)];
    return `${size},${2 * size - 3 * age + 0.5},${age}`;
  };
  await writeCsv(join(folder, "houses.csv"), "size,price,age", 500, house);
  await writeCsv(join(folder, "test.csv"), "size,price,age", 90, (row) => house(row + 3000));
  await writeFile(
    join(folder, "houses.yaml"),
    `data: { csv: { train: houses.csv, test: test.csv, target: price } }
model: { layers: [{ dense: 1 }], loss: meanSquaredError }
optimizer: { sgd: { learningRate: 0.1, momentum: 0.9 } }
batch: 48
epochs: 30
`,
  );
  const one = await train(folder, "one", "houses.yaml", "--workers", "1").result();
  const two = await train(folder, "two", "houses.yaml", "--workers", "2").result();
  expect(two.parametersSha256).toBe(one.parametersSha256);
  expect([one.testLoss, one.testAccuracy]).toEqual([two.testLoss, undefined]);
  expect(one.testLoss).toBeLessThan(1e-6);
  const { tensors } = readByRules(await readFile(join(folder, one.models[1]!)));
  const found = ["0.weight", "0.bias"].flatMap((name) => [
    ...new Float32Array(Uint8Array.from(tensors[name]!.bytes).buffer),
  ]);
  [2, -3, 0.5].forEach((value, index) => expect(found[index]).toBeCloseTo(value, 2));
  const { stdout } = await lockstep(["evaluate", "two"], folder).finished;
  expect(stdout).toMatch(/\ntest loss \d\.\d+e-\d+\nparameters sha256 [0-9a-f]{64}\n$/);
});

test("gzipped IDX files are the same data as plain ones", async () => {
  const folder = await temporaryFolder();
  await writeMnistPart(join(folder, "plain"), 500, 100);
  await writeMnistPart(join(folder, "zipped"), 1, 1);
  for (const file of idxFiles.map((name) => `${name}-ubyte`)) {
    await writeFile(join(folder, "zipped", `${file}.gz`), gzipSync(await readFile(join(folder, "plain", file))));
    await rm(join(folder, "zipped", file));
  }
  const runs = ["plain", "zipped"].map((data) => train(folder, data, "--data", data, "--epochs", "1"));
  const [plain, zipped] = await Promise.all(runs.map((run) => run.event("data")));
  expect(zipped).toEqual({ ...plain!, train: 500, test: 100 });
  const [first, second] = await Promise.all(runs.map((run) => run.result()));
  expect(second!.parametersSha256).toBe(first!.parametersSha256);
});

test("a worker whose files differ says so and computes with the coordinator's", async () => {
  const folder = await temporaryFolder();
  const digits = join(folder, "digits");
  await writeMnistPart(digits, 300, 50);
  const flags = ["--data", "digits", "--epochs", "1"];
  const { parametersSha256 } = await train(folder, "undisturbed", ...flags).result();

  const coordinator = lockstep(["coordinator", ...flags, ...asEvents, "--name", "guarded"], folder);
  const { url } = await coordinator.event("listening");
  const { sha256 } = await coordinator.event("data");
  // Of which not even a batch could be made.
  await writeMnistPart(digits, 3, 3);
  const other = worker([url, "--name", "other"], { LOCKSTEP_CACHE: join(folder, "cache") });
  expect((await coordinator.result()).parametersSha256).toBe(parametersSha256);
  const { code, stdout } = await other.finished;
  expect(code).toBe(0);
  expect(stdout).toMatch(
    /this worker's data has SHA-256 [0-9a-f]{64}, the run trains on .*: the coordinator's is used/,
  );
  expect(stdout).toContain(sha256);
});

test.each([
  { what: "Lockstep", hello: { version: "0.0.9", protocol: PROTOCOL_VERSION } },
  { what: "the protocol", hello: { version, protocol: PROTOCOL_VERSION + 1 } },
])("a worker of another version of $what is refused", async ({ hello }) => {
  const folder = await temporaryFolder();
  await writeMnistPart(join(folder, "digits"), 300, 50);
  const coordinator = lockstep(["coordinator", "--data", "digits", ...asEvents], folder);
  const { url } = await coordinator.event("listening");
  const socket = new WebSocket(url);
  const answers: CoordinatorMessage[] = [];
  socket.on("message", (frame: Buffer) => answers.push(checkCoordinatorMessage(decodeFrame([frame]).header)));
  // No proof that it may join: an old version may not know how.
  const unproven = { nonce: "0".repeat(64), proof: "0".repeat(64) };
  socket.on("open", () =>
    socket.send(encodeFrame({ type: "hello", name: "old", threads: 1, ...unproven, ...hello })[0]!),
  );
  await new Promise((resolve) => socket.once("close", resolve));
  // It learns why, and nothing of the run.
  expect(answers.map(({ type }) => type)).toEqual(["challenge", "refused"]);
  const sentence = `worker old is Lockstep ${hello.version} (protocol ${hello.protocol}), the coordinator is ${version} (protocol ${PROTOCOL_VERSION})`;
  expect(answers[1]).toMatchObject({ code: "VERSION_MISMATCH", message: sentence });
  expect(await coordinator.event("refused")).toMatchObject({ worker: "old", message: sentence });
});
