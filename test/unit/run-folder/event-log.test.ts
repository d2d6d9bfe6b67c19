import { readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it, vi } from "vitest";
import type { RunEvent } from "../../../coordinator/events.ts";
import { EventLog, readEvents, type LoggedEvent } from "../../../coordinator/run-folder/event-log.ts";
import { temporaryFolder } from "../../support/files.ts";
import { fullDisk } from "../../support/full-disk.ts";

const joined = (workers: number): RunEvent => ({ type: "worker-joined", worker: `w${workers}`, workers });
const line = (workers: number): string => `${JSON.stringify({ at: workers, ...joined(workers) })}\n`;
const read = (run: string): Promise<string> => readFile(join(run, "events.jsonl"), "utf8");

/** A log whose failures are events of the run, as they are in one. */
function logOf(run: string): { log: EventLog; failures: unknown[] } {
  const failures: unknown[] = [];
  const onFailure = (error: unknown): void => {
    failures.push(error);
    log.add({ type: "warning", code: "DISK_FAILED", message: "" }, 0);
  };
  const log = new EventLog(run, onFailure, async () => {});
  return { log, failures };
}

const warningLine = `${JSON.stringify({ at: 0, type: "warning", code: "DISK_FAILED", message: "" })}\n`;

it.skipIf(process.platform === "win32")("adds nothing to a file elsewhere that a link leads to", async () => {
  const [run, home] = [await temporaryFolder(), await temporaryFolder()];
  const theirs = join(home, "precious");
  await writeFile(theirs, "not events\n");
  await symlink(theirs, join(run, "events.jsonl"));
  const { log, failures } = logOf(run);
  log.add({ type: "waiting", workers: 0, needed: 1 }, 1);
  await log.close();
  expect(failures).toMatchObject([{ code: "DISK_FAILED", message: `cannot use ${join(run, "events.jsonl")}: ELOOP` }]);
  expect(await readFile(theirs, "utf8")).toBe("not events\n");
});

it("begins a line of its own behind half a line that a killed process has left, which readers pass over", async () => {
  const run = await temporaryFolder();
  await writeFile(join(run, "events.jsonl"), `${line(1)}{"at":2,"ty`);
  const { log } = logOf(run);
  log.add(joined(3), 3);
  await log.close();
  log.add(joined(4), 4);
  await log.close();
  expect(await read(run)).toBe(`${line(1)}{"at":2,"ty\n${line(3)}${line(4)}`);
  const events: LoggedEvent[] = [];
  await readEvents(run, Infinity, (event) => events.push(event));
  expect(events.map(({ at }) => at)).toEqual([1, 3, 4]);
});

it.each(["works", "fails"] as const)(
  "writes every event once, also those that a full disk had no room for, where cutting half lines %s",
  async (cutting) => {
    const run = await temporaryFolder();
    const { log, failures } = logOf(run);
    log.add(joined(1), 1);
    await log.close();
    await fullDisk(run, cutting);
    for (const worker of [2, 3]) {
      log.add(joined(worker), worker);
      await log.close();
    }
    expect(failures).toMatchObject([{ code: "DISK_FAILED" }]);
    vi.restoreAllMocks();
    log.add(joined(4), 4);
    await log.close();
    expect(await read(run)).toBe(line(1) + line(2) + warningLine + line(3) + line(4));
    expect(failures).toHaveLength(1);
  },
);

it("tells of the next failure, too, once it could write again", async () => {
  const run = await temporaryFolder();
  const { log, failures } = logOf(run);
  for (const worker of [1, 2]) {
    await fullDisk(run, "works");
    log.add(joined(worker), worker);
    await log.close();
    expect(failures).toHaveLength(worker);
    vi.restoreAllMocks();
    await log.close();
  }
  expect(await read(run)).toBe(line(1) + warningLine + line(2) + warningLine);
});

it("keeps the newest thousand events for a disk that fails", async () => {
  const run = await temporaryFolder();
  const { log } = logOf(run);
  await fullDisk(run, "works");
  for (let worker = 1; worker <= 1_500; worker++) log.add(joined(worker), worker);
  await log.close();
  vi.restoreAllMocks();
  log.add(joined(1_501), 1_501);
  await log.close();
  const lines = (await read(run)).split("\n").slice(0, -1);
  expect(lines).toHaveLength(1_000);
  expect(`${lines.at(-1)}\n`).toBe(line(1_501));
});
