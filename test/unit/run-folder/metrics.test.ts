import { constants } from "node:buffer";
import {
  appendFile,
  mkdir,
  open,
  readdir,
  readFile,
  stat,
  symlink,
  writeFile,
  type FileHandle,
} from "node:fs/promises";
import { join } from "node:path";
import { expect, it, onTestFinished, vi } from "vitest";
import { cutBackMetrics, MetricsLog, readMetrics } from "../../../coordinator/run-folder/metrics.ts";
import { failureOf } from "../../support/errors.ts";
import { temporaryFolder } from "../../support/files.ts";
import { filesOf, fullDisk } from "../../support/full-disk.ts";

const line = (step: number): string => `${JSON.stringify({ step, loss: step / 3 })}\n`;
const stepLine = (step: number): string => `${JSON.stringify({ type: "step", step })}\n`;
const lostLine = (lost: { lines: number; since: number; step: number }): string =>
  `${JSON.stringify({ type: "lost", ...lost })}\n`;
const read = (run: string): Promise<string> => readFile(join(run, "metrics.jsonl"), "utf8");

it("writes lines when flushed, and not before", async () => {
  const run = await temporaryFolder();
  const log = await MetricsLog.open(run);
  log.append({ step: 0, loss: 0 });
  log.append({ step: 1, loss: 1 / 3 });
  expect(await read(run)).toBe("");
  await log.flush();
  expect(await read(run)).toBe(line(0) + line(1));
  log.append({ step: 2, loss: 2 / 3 });
  await log.flush();
  expect(await read(run)).toBe(line(0) + line(1) + line(2));
});

it("keeps the order of lines when flushes overlap", async () => {
  const run = await temporaryFolder();
  const log = await MetricsLog.open(run);
  const flushes = Array.from({ length: 50 }, (_, step) => {
    log.append({ step, loss: step / 3 });
    return log.flush();
  });
  await Promise.all(flushes);
  await log.flush();
  expect(await read(run)).toBe(Array.from({ length: 50 }, (_, step) => line(step)).join(""));
});

it("adds to what is there", async () => {
  const run = await temporaryFolder();
  for (const step of [0, 1]) {
    const log = await MetricsLog.open(run);
    log.append({ step, loss: step / 3 });
    await log.flush();
  }
  expect(await read(run)).toBe(line(0) + line(1));
});

it.each([
  ["the steps from there on", line(0) + line(1) + line(2) + line(3), 2, line(0) + line(1), 2],
  ["every line of a later step, wherever it stands", line(0) + line(5) + line(1), 2, line(0) + line(1), 1],
  ["several lines of one step", line(0) + line(1) + line(1) + line(2), 2, line(0) + line(1) + line(1), 1],
  ["a torn last line", `${line(0)}{"step":1,"lo`, 9, line(0), 1],
  ["a block of zeros at the end", `${line(0)}\0\0\0\0`, 9, line(0), 1],
  ["a line without a step", `${line(0)}{"loss":1}\nnull\n7\n`, 9, line(0), 3],
  ["nothing, where all is before", line(0) + line(1), 2, line(0) + line(1), 0],
  ["everything for step 0", line(0) + line(1), 0, "", 2],
])("cuts back %s", async (_, text, step, remaining, dropped) => {
  const run = await temporaryFolder();
  await writeFile(join(run, "metrics.jsonl"), text);
  const kept = remaining.split("\n").length - 1;
  expect(await cutBackMetrics(run, step)).toEqual({ kept, dropped, steps: 0 });
  expect(await read(run)).toBe(remaining);
  expect(await readdir(run)).toEqual(["metrics.jsonl"]);
});

it("completes a whole last line that lacks its line end, so that the next one stands alone", async () => {
  const run = await temporaryFolder();
  await writeFile(join(run, "metrics.jsonl"), line(0) + line(1).trimEnd());
  expect(await cutBackMetrics(run, 2)).toEqual({ kept: 2, dropped: 0, steps: 0 });
  await appendFile(join(run, "metrics.jsonl"), line(2));
  expect(await read(run)).toBe(line(0) + line(1) + line(2));
});

it("cuts back nothing where there is no file", async () => {
  const run = await temporaryFolder();
  expect(await cutBackMetrics(run, 5)).toEqual({ kept: 0, dropped: 0, steps: 0 });
  expect(await readdir(run)).toEqual([]);
});

it("cuts back the line of an epoch that is evaluated again, and no other epoch's", async () => {
  const run = await temporaryFolder();
  const epochLine = (step: number): string => `${JSON.stringify({ type: "epoch", step })}\n`;
  const before = stepLine(1) + epochLine(1) + stepLine(2);
  await writeFile(join(run, "metrics.jsonl"), before + epochLine(2) + stepLine(3));
  expect(await cutBackMetrics(run, 3, true)).toEqual({ kept: 3, dropped: 2, steps: 2 });
  expect(await read(run)).toBe(before);
});

it("hands over the lines that are records of a step, and passes over whatever else stands between them", async () => {
  const folder = await temporaryFolder();
  const lines = ['{"step":1}', "null", "3", "[]", "{}", '{"step":"2"}', '{"step":2', "", '{"step":3,"loss":0.5}'];
  await writeFile(join(folder, "metrics.jsonl"), `${lines.join("\n")}\n`);
  const found: unknown[] = [];
  await readMetrics(folder, (record) => found.push(record));
  expect(found).toEqual([{ step: 1 }, { step: 3, loss: 0.5 }]);
});

it("counts the steps that have their line", async () => {
  const run = await temporaryFolder();
  const other = `${JSON.stringify({ type: "epoch", step: 3 })}\n`;
  await writeFile(join(run, "metrics.jsonl"), stepLine(1) + stepLine(2) + stepLine(2) + other + stepLine(4));
  expect(await cutBackMetrics(run, 4)).toEqual({ kept: 4, dropped: 1, steps: 2 });
});

it("cuts back a file that is larger than a string can be, and reads it", async () => {
  const run = await temporaryFolder();
  const path = join(run, "metrics.jsonl");
  await writeFile(path, stepLine(1) + stepLine(2));
  // Blocks of zeros, which take no room on the disk.
  const file = await open(path, "r+");
  const blocks = 34;
  for (let block = 1; block <= blocks; block++) await file.write("\n", block * 2 ** 24);
  expect((await file.stat()).size).toBeGreaterThan(constants.MAX_STRING_LENGTH);
  await file.close();
  await appendFile(path, stepLine(3));
  const steps: number[] = [];
  await readMetrics(run, ({ step }) => steps.push(step));
  expect(steps).toEqual([1, 2, 3]);
  expect(await cutBackMetrics(run, 3)).toEqual({ kept: 2, dropped: blocks + 1, steps: 2 });
  expect(await read(run)).toBe(stepLine(1) + stepLine(2));
}, 60_000);

it("cuts off the end where it is, as a full disk has no room for a copy", async () => {
  const run = await temporaryFolder();
  const path = join(run, "metrics.jsonl");
  await writeFile(path, line(0) + line(1) + line(2));
  const { ino } = await stat(path);
  await cutBackMetrics(run, 2);
  expect(await read(run)).toBe(line(0) + line(1));
  expect((await stat(path)).ino).toBe(ino);
});

it("fails with DISK_FAILED, naming the file", async () => {
  const run = await temporaryFolder();
  await mkdir(join(run, "metrics.jsonl"));
  const failures = { use: () => MetricsLog.open(run), read: () => cutBackMetrics(run, 1) };
  for (const [cannot, action] of Object.entries(failures))
    expect(await failureOf(action)).toMatchObject({
      code: "DISK_FAILED",
      message: `cannot ${cannot} ${join(run, "metrics.jsonl")}: EISDIR`,
    });
});

it.skipIf(process.platform === "win32")(
  "neither cuts back nor adds to a file elsewhere that a link leads to",
  async () => {
    const [run, home] = [await temporaryFolder(), await temporaryFolder()];
    const theirs = join(home, "precious");
    await writeFile(theirs, "not metrics\n");
    await symlink(theirs, join(run, "metrics.jsonl"));
    for (const action of [() => MetricsLog.open(run), () => cutBackMetrics(run, 1)])
      expect(await failureOf(action)).toMatchObject({
        code: "DISK_FAILED",
        message: `cannot use ${join(run, "metrics.jsonl")}: ELOOP`,
        hint: "It is a link, and those are not followed: put the file itself there.",
      });
    expect(await readFile(theirs, "utf8")).toBe("not metrics\n");
  },
);

it("loses no line that is appended while a flush is under way", async () => {
  const run = await temporaryFolder();
  const log = await MetricsLog.open(run);
  let appended = 0;
  const flushes = (async () => {
    for (let round = 0; round < 20; round++) await log.flush();
    return "flushed";
  })();
  while ((await Promise.race([flushes, Promise.resolve()])) === undefined) {
    log.append({ step: appended, loss: appended / 3 });
    appended += 1;
    await new Promise((resolve) => setImmediate(resolve));
  }
  await log.flush();
  expect(await read(run)).toBe(Array.from({ length: appended }, (_, step) => line(step)).join(""));
});

it.each(["works", "fails"] as const)(
  "writes every line once a full disk has room, where cutting half lines %s",
  async (cutting) => {
    const run = await temporaryFolder();
    const log = await MetricsLog.open(run);
    log.append({ step: 0, loss: 0 });
    await log.flush();
    await fullDisk(run, cutting);
    log.append({ step: 1, loss: 1 / 3 });
    for (let time = 0; time < 2; time++)
      expect((await failureOf(() => log.flush())).message).toBe(
        `cannot use ${join(run, "metrics.jsonl")}: ${time === 1 && cutting === "fails" ? "EIO" : "ENOSPC"}`,
      );
    expect(await read(run)).toBe(line(0) + (cutting === "fails" ? line(1).slice(0, line(1).length / 2) : ""));
    vi.restoreAllMocks();
    log.append({ step: 2, loss: 2 / 3 });
    expect(await log.flush()).toBe(0);
    expect(await read(run)).toBe(line(0) + line(1) + line(2));
  },
);

it.each([0, 1, 2])(
  "keeps so many lines for a disk that fails and says in their place how many are lost, %i of them behind flushes that failed again",
  async (behind) => {
    const run = await temporaryFolder();
    const log = await MetricsLog.open(run, { waitingAtMost: line(0).length + 1 });
    await fullDisk(run, "works");
    for (const step of [0, 1]) log.append({ step, loss: step / 3 });
    await failureOf(() => log.flush());
    for (const step of [2, 3, 4]) log.append({ step, loss: step / 3 });
    for (const step of [5, 6].slice(0, behind)) {
      await failureOf(() => log.flush());
      log.append({ step, loss: step / 3 });
    }
    await failureOf(() => log.flush());
    vi.restoreAllMocks();
    expect(await log.flush()).toBe(3 + behind);
    log.append({ step: 7, loss: 7 / 3 });
    expect(await log.flush()).toBe(0);
    const lost = lostLine({ lines: 3 + behind, since: 2, step: 4 + behind });
    expect(await read(run)).toBe(line(0) + line(1) + lost + line(7));
  },
);

it("says of lines that are lost while a slow disk writes, also where none is behind them", async () => {
  const run = await temporaryFolder();
  const log = await MetricsLog.open(run, { waitingAtMost: line(0).length });
  vi.spyOn(await filesOf(run), "appendFile").mockImplementationOnce(async function (this: FileHandle, text) {
    for (const step of [1, 2]) log.append({ step, loss: step / 3 });
    await this.write(text as string);
  });
  onTestFinished(() => void vi.restoreAllMocks());
  log.append({ step: 0, loss: 0 });
  expect(await log.flush()).toBe(0);
  expect(await log.flush()).toBe(2);
  expect(await read(run)).toBe(line(0) + lostLine({ lines: 2, since: 1, step: 2 }));
});

it("says when so much waits that it should be written", async () => {
  const log = await MetricsLog.open(await temporaryFolder());
  const text = "x".repeat(2 ** 19);
  const due = Array.from({ length: 6 }, (_, step) => log.append({ step, text }));
  expect(due).toEqual([false, true, false, true, false, true]);
});

it("writes for those who wait in one go", async () => {
  const run = await temporaryFolder();
  const log = await MetricsLog.open(run);
  log.append({ step: 0, loss: 0 });
  const first = log.flush();
  await Promise.resolve();
  const [second, third] = [log.flush(), log.flush()];
  expect(second).not.toBe(first);
  expect(third).toBe(second);
  log.append({ step: 1, loss: 1 / 3 });
  await third;
  expect(await read(run)).toBe(line(0) + line(1));
});
