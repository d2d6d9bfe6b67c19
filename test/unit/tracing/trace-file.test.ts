import { readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { TraceFile } from "../../../coordinator/tracing/trace-file.ts";
import type { Span, StepTrace } from "../../../coordinator/dashboard/page/messages.ts";
import { cannotMount, SmallDisk } from "../../support/disks.ts";
import { failureOf } from "../../support/errors.ts";
import { temporaryFolder } from "../../support/files.ts";
import { slicesIn } from "../../support/trace-events.ts";

const step = (number: number, begin: number, spans: readonly Span[], worker = "anna"): StepTrace => ({
  name: `step ${number}`,
  begin,
  length: 2,
  lanes: [
    {
      name: "coordinator",
      spans: [
        ["wait", 0, 1.5],
        ["update", 1.5, 2],
      ],
    },
    { name: worker, part: "thread 1", spans },
  ],
});

test("steps become slices of one clock, and what would lie over the slice before it is cut", async () => {
  const path = join(await temporaryFolder(), "trace.json");
  const file = await TraceFile.create(path);
  file.add(
    step(1, 10, [
      ["gather", 0, 0.25],
      ["compute", 0.25, 1],
    ]),
  );
  // Gathered before the step was opened, and by a better look at the clocks before the last slice was over.
  file.add(
    step(2, 12, [
      ["gather", -1.5, -0.5],
      ["wait", -0.5, -0.5],
      ["compute", 0, 1],
    ]),
  );
  await file.close();
  const lanes = slicesIn(await readFile(path, "utf8"));
  expect([...lanes.keys()]).toEqual(["coordinator, steps", "coordinator, main", "anna, thread 1"]);
  expect(lanes.get("coordinator, steps")).toEqual([
    { name: "step 1", begin: 10_000, end: 12_000, step: "step 1" },
    { name: "step 2", begin: 12_000, end: 14_000, step: "step 2" },
  ]);
  expect(lanes.get("anna, thread 1")).toEqual([
    { name: "gather", begin: 10_000, end: 10_250, step: "step 1" },
    { name: "compute", begin: 10_250, end: 11_000, step: "step 1" },
    { name: "gather", begin: 11_000, end: 11_500, step: "step 2" },
    { name: "compute", begin: 12_000, end: 13_000, step: "step 2" },
  ]);
});

test("a worker with the coordinator's name has lanes of its own, and quotes in a name stay text", async () => {
  const path = join(await temporaryFolder(), "trace.json");
  const file = await TraceFile.create(path);
  file.add(step(1, 10, [["compute", 0, 1]], "coordinator"));
  file.add(step(2, 20, [["compute", 0, 1]], '"}],'));
  await file.close();
  const text = await readFile(path, "utf8");
  const processes = (JSON.parse(text) as { name: string; args: { name: string } }[]).filter(
    ({ name }) => name === "process_name",
  );
  expect(processes.map(({ args }) => args.name)).toEqual(["coordinator", "coordinator", '"}],']);
});

test("steps are on disk a second later, while the file is still written", async () => {
  const path = join(await temporaryFolder(), "trace.json");
  const file = await TraceFile.create(path);
  file.add(step(1, 10, [["compute", 0, 1]]));
  await expect.poll(() => readFile(path, "utf8"), { timeout: 5_000 }).toContain("compute");
  expect(slicesIn(await readFile(path, "utf8")).get("coordinator, steps")).toHaveLength(1);
  await file.close();
});

test("the next start of a run takes the next free name; a file that is given must be new", async () => {
  const folder = await temporaryFolder();
  for (const name of ["trace.json", "trace-2.json", "trace-3.json"]) {
    const file = await TraceFile.inFolder(folder);
    expect(file.path).toBe(join(folder, name));
    file.add(step(1, 10, []));
    await file.close();
  }
  await writeFile(join(folder, "job.yaml"), "epochs: 1\n");
  expect(await failureOf(() => TraceFile.create(join(folder, "job.yaml")))).toMatchObject({ code: "CONFIG_INVALID" });
  expect(await failureOf(() => TraceFile.create(join(folder, "none", "x.json")))).toMatchObject({
    code: "DISK_FAILED",
  });
});

test("a run that takes no step leaves no file", async () => {
  const folder = await temporaryFolder();
  await (await TraceFile.inFolder(folder)).close();
  expect(await readdir(folder)).toEqual([]);
});

test("what a slow disk has no time for is left out, and the file says so", async () => {
  const path = join(await temporaryFolder(), "trace.json");
  const file = await TraceFile.create(path);
  // 100 kB each, without a moment for the disk.
  const spans = Array.from({ length: 1_000 }, (_, index): Span => ["compute", index, index + 1]);
  for (let number = 1; number <= 500; number++) file.add(step(number, 1_000 * number, spans));
  await expect
    .poll(async () => (await readFile(path, "utf8")).length, { timeout: 20_000 })
    .toBeGreaterThan(32 * 2 ** 20);
  file.add(step(501, 501_000, spans));
  await file.close();
  const text = await readFile(path, "utf8");
  const [, leftOut] = /"(\d+) steps left out: the disk is too slow"/.exec(text)!;
  const events = JSON.parse(text) as { ph: string; name: string }[];
  const steps = events.filter(({ ph, name }) => ph === "X" && name.startsWith("step "));
  expect(steps.length + Number(leftOut)).toBe(501);
  expect(Number(leftOut)).toBeGreaterThan(50);
});

test.skipIf(cannotMount !== undefined)(
  `a full disk is told once, and leaves a file that can be read${cannotMount === undefined ? "" : ` (skipped: ${cannotMount})`}`,
  async () => {
    const disk = await SmallDisk.mount(2 ** 20);
    const file = await TraceFile.inFolder(disk.folder);
    const failures: unknown[] = [];
    file.onFailure = (error) => failures.push(error);
    const spans = Array.from({ length: 1_000 }, (_, index): Span => ["compute", index, index + 1]);
    for (let number = 1; number <= 40; number++) file.add(step(number, 1_000 * number, spans));
    await expect.poll(() => failures, { timeout: 5_000 }).toHaveLength(1);
    file.add(step(41, 41_000, spans));
    await file.close();
    expect(failures).toEqual([expect.objectContaining({ code: "DISK_FAILED" })]);
    expect(slicesIn(await readFile(file.path, "utf8")).get("anna, thread 1")!.length).toBeGreaterThan(5_000);
  },
);
