import { appendFile, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { cutBackMetrics, MetricsLog } from "../../../coordinator/run-folder/metrics.ts";
import { failureOf, temporaryFolder } from "../../support/files.ts";

const line = (step: number): string => `${JSON.stringify({ step, loss: step / 3 })}\n`;
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
  await log.close();
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
  await log.close();
  expect(await read(run)).toBe(Array.from({ length: 50 }, (_, step) => line(step)).join(""));
});

it("adds to what is there", async () => {
  const run = await temporaryFolder();
  for (const step of [0, 1]) {
    const log = await MetricsLog.open(run);
    log.append({ step, loss: step / 3 });
    await log.close();
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
  expect(await cutBackMetrics(run, step)).toEqual({ kept, dropped });
  expect(await read(run)).toBe(remaining);
  expect(await readdir(run)).toEqual(["metrics.jsonl"]);
});

it("completes a whole last line that lacks its line end, so that the next one stands alone", async () => {
  const run = await temporaryFolder();
  await writeFile(join(run, "metrics.jsonl"), line(0) + line(1).trimEnd());
  expect(await cutBackMetrics(run, 2)).toEqual({ kept: 2, dropped: 0 });
  await appendFile(join(run, "metrics.jsonl"), line(2));
  expect(await read(run)).toBe(line(0) + line(1) + line(2));
});

it("cuts back nothing where there is no file", async () => {
  const run = await temporaryFolder();
  expect(await cutBackMetrics(run, 5)).toEqual({ kept: 0, dropped: 0 });
  expect(await readdir(run)).toEqual([]);
});

it("fails with DISK_FAILED, naming the file", async () => {
  const run = await temporaryFolder();
  await mkdir(join(run, "metrics.jsonl"));
  for (const action of [() => MetricsLog.open(run), () => cutBackMetrics(run, 1)])
    expect(await failureOf(action)).toMatchObject({
      code: "DISK_FAILED",
      message: `cannot use ${join(run, "metrics.jsonl")}: EISDIR`,
    });
});

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
  await log.close();
  expect(await read(run)).toBe(Array.from({ length: appended }, (_, step) => line(step)).join(""));
});
