import { execFile } from "node:child_process";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { Checkpoints } from "../../../coordinator/run-folder/checkpoints.ts";
import { createRun, resumeRun } from "../../../coordinator/run-folder/folder.ts";
import type { LockstepError } from "../../../shared/errors.ts";
import { layoutOf } from "../../../shared/memory/layout.ts";
import { failureOf } from "../../support/errors.ts";
import { temporaryFolder } from "../../support/files.ts";
import { exampleManifest } from "../../support/manifest.ts";
import { exampleLayout, exampleSnapshot } from "../../support/snapshot.ts";

/** The checkpoints of a new run, and the folder they lie in. */
async function newCheckpoints(): Promise<{ run: string; folder: string; checkpoints: Checkpoints }> {
  const run = await temporaryFolder();
  const folder = join(run, "checkpoints");
  await mkdir(folder);
  return { run, folder, checkpoints: new Checkpoints(run, exampleLayout) };
}

const fileOf = (step: number): string => `step-${String(step).padStart(8, "0")}.safetensors`;
const refuse = (error: LockstepError): void => {
  throw error;
};

/** The step of the newest whole checkpoint, and the messages about those passed over. */
async function newest(checkpoints: Checkpoints): Promise<{ step: number | undefined; passed: string[] }> {
  const passed: string[] = [];
  const snapshot = await checkpoints.readNewest((error) => passed.push(`${error.code} ${error.message}`));
  return { step: snapshot?.step, passed };
}

async function damage(path: string): Promise<void> {
  const bytes = await readFile(path);
  bytes[bytes.length - 1]! ^= 1;
  await writeFile(path, bytes);
}

it("has none in a new run", async () => {
  const { checkpoints } = await newCheckpoints();
  expect(await checkpoints.list()).toEqual([]);
  expect(await checkpoints.readNewest(refuse)).toBeUndefined();
});

it("gives back what was saved, under the step's name", async () => {
  const { folder, checkpoints } = await newCheckpoints();
  expect(await checkpoints.save(exampleSnapshot(1234), 3)).toBe(join(folder, "step-00001234.safetensors"));
  expect(await checkpoints.readNewest(refuse)).toEqual(exampleSnapshot(1234));
  expect(await checkpoints.list()).toEqual([{ step: 1234, path: join(folder, fileOf(1234)) }]);
});

it("keeps the newest few, in the order of steps and not of names", async () => {
  const { folder, checkpoints } = await newCheckpoints();
  const steps = [0, 5, 99_999_999, 100_000_000, 100_000_001];
  for (const step of steps) await checkpoints.save(exampleSnapshot(step), 3);
  expect(await readdir(folder)).toHaveLength(3);
  expect((await checkpoints.list()).map(({ step }) => step)).toEqual(steps.slice(2));
  expect((await newest(checkpoints)).step).toBe(100_000_001);
});

it("copies the snapshot before it returns, and writes one after the other, of those that wait the newest", async () => {
  const { folder, checkpoints } = await newCheckpoints();
  const snapshots = [1, 2, 3, 4].map(exampleSnapshot);
  const saved = snapshots.map((snapshot) => checkpoints.save(snapshot, 2));
  for (const { parameters } of snapshots) parameters.fill(-1);
  const paths = [join(folder, fileOf(1)), undefined, undefined, join(folder, fileOf(4))];
  expect(await Promise.all(saved)).toEqual(paths);
  expect((await checkpoints.list()).map(({ step }) => step)).toEqual([1, 4]);
  expect(await checkpoints.readNewest(refuse)).toEqual(exampleSnapshot(4));
});

it("writes the next best one also after one that could not be written", async () => {
  const { folder, checkpoints } = await newCheckpoints();
  const inTheWay = join(folder, "best-00000002.safetensors");
  await mkdir(inTheWay);
  expect((await failureOf(() => checkpoints.saveBest(exampleSnapshot(2)))).code).toBe("DISK_FAILED");
  await rm(inTheWay, { recursive: true });
  await checkpoints.saveBest(exampleSnapshot(4));
  expect(await checkpoints.readBest(4)).toEqual(exampleSnapshot(4));
});

it("writes once what comes before has settled, also where that failed", async () => {
  const { checkpoints } = await newCheckpoints();
  const before = Promise.withResolvers<void>();
  const saved = checkpoints.save(exampleSnapshot(1), 2, before.promise);
  const next = checkpoints.save(exampleSnapshot(2), 2);
  await sleep(20);
  expect(await checkpoints.list()).toEqual([]);
  before.reject(new Error("not this time"));
  await Promise.all([saved, next]);
  expect((await checkpoints.list()).map(({ step }) => step)).toEqual([1, 2]);
});

it("names damaged checkpoints and uses the one before", async () => {
  const { folder, checkpoints } = await newCheckpoints();
  for (const step of [1, 2, 3, 4]) await checkpoints.save(exampleSnapshot(step), 4);
  await damage(join(folder, fileOf(4)));
  await writeFile(join(folder, fileOf(3)), (await readFile(join(folder, fileOf(3)))).subarray(0, 100));
  const { step, passed } = await newest(checkpoints);
  expect(step).toBe(2);
  expect(passed).toEqual([
    expect.stringMatching(`^CHECKPOINT_DAMAGED ${join(folder, fileOf(4))} is damaged: expected SHA-256`),
    expect.stringContaining(`CHECKPOINT_DAMAGED ${join(folder, fileOf(3))} is damaged: `),
  ]);
});

it("passes over an empty file, a folder, and a checkpoint under another step's name", async () => {
  const { folder, checkpoints } = await newCheckpoints();
  for (const step of [1, 2]) await checkpoints.save(exampleSnapshot(step), 4);
  await rename(join(folder, fileOf(2)), join(folder, fileOf(3)));
  await writeFile(join(folder, fileOf(4)), "");
  await mkdir(join(folder, fileOf(5)));
  const { step, passed } = await newest(checkpoints);
  expect(step).toBe(1);
  expect(passed).toEqual([
    `CHECKPOINT_DAMAGED ${join(folder, fileOf(5))} cannot be read: EISDIR`,
    `CHECKPOINT_DAMAGED ${join(folder, fileOf(4))} is damaged: it does not start as a checkpoint does`,
    `CHECKPOINT_DAMAGED ${join(folder, fileOf(3))} holds step 2, expected step 3`,
  ]);
});

it("fails where no checkpoint is whole", async () => {
  const { folder, checkpoints } = await newCheckpoints();
  for (const step of [1, 2]) await damage((await checkpoints.save(exampleSnapshot(step), 4))!);
  const passed: LockstepError[] = [];
  const error = await failureOf(() => checkpoints.readNewest((each) => passed.push(each)));
  expect(error).toMatchObject({
    code: "CHECKPOINT_DAMAGED",
    message: `none of the 2 checkpoints in ${folder} is whole`,
  });
  expect(passed).toHaveLength(2);
});

it("never gives up a whole checkpoint for a damaged one of a later step", async () => {
  const { folder, checkpoints } = await newCheckpoints();
  for (const step of [10, 20]) await checkpoints.save(exampleSnapshot(step), 1);
  await damage(join(folder, fileOf(20)));
  await checkpoints.save(exampleSnapshot(12), 1);
  expect(await newest(checkpoints)).toMatchObject({ step: 12, passed: [expect.stringContaining(fileOf(20))] });
  // Once the run is past it, it goes like any other.
  await checkpoints.save(exampleSnapshot(21), 1);
  expect(await readdir(folder)).toEqual([fileOf(21)]);
});

it("does not pass over a checkpoint of another model", async () => {
  const { run, checkpoints } = await newCheckpoints();
  await checkpoints.save(exampleSnapshot(1), 1);
  const other = new Checkpoints(run, layoutOf([{ name: "w", shape: [1] }]));
  const passed: LockstepError[] = [];
  const error = await failureOf(() => other.readNewest((each) => passed.push(each)));
  expect(error.code).toBe("LAYOUT_MISMATCH");
  expect(passed).toEqual([]);
});

it("does not look at other files", async () => {
  const { folder, checkpoints } = await newCheckpoints();
  for (const name of ["step-1.safetensors", "step-00000009.safetensors.3.partial", "notes.txt"])
    await writeFile(join(folder, name), "");
  expect(await checkpoints.list()).toEqual([]);
  await checkpoints.save(exampleSnapshot(1), 1);
  expect(await readdir(folder)).toHaveLength(4);
});

it("fails with DISK_FAILED, goes on afterwards, and keeps what was there", async () => {
  const { folder, checkpoints } = await newCheckpoints();
  await checkpoints.save(exampleSnapshot(1), 1);
  await mkdir(join(folder, fileOf(2)));
  const error = await failureOf(() => checkpoints.save(exampleSnapshot(2), 1));
  expect(error.code).toBe("DISK_FAILED");
  expect(error.message).toBe(`cannot use ${join(folder, fileOf(2))}: EISDIR`);
  expect((await newest(checkpoints)).step).toBe(1);
  await rm(join(folder, fileOf(2)), { recursive: true });
  await checkpoints.save(exampleSnapshot(2), 1);
  expect(await readdir(folder)).toEqual([fileOf(2)]);
});

it("killed between write and rename, leaves the checkpoint before and no half one; resuming cleans up", async () => {
  const path = join(await temporaryFolder(), "run");
  await (await createRun(path, { config: {}, manifest: exampleManifest })).close();
  const url = (file: string): string => JSON.stringify(new URL(`../../../${file}`, import.meta.url).href);
  const script = `
    import fs from "node:fs/promises";
    import { syncBuiltinESMExports } from "node:module";
    import { Checkpoints } from ${url("coordinator/run-folder/checkpoints.ts")};
    import { exampleLayout, exampleSnapshot } from ${url("test/support/snapshot.ts")};
    const checkpoints = new Checkpoints(${JSON.stringify(path)}, exampleLayout);
    await checkpoints.save(exampleSnapshot(1), 1);
    fs.rename = () => { process.kill(process.pid, "SIGKILL"); return new Promise(() => {}); };
    syncBuiltinESMExports();
    await checkpoints.save(exampleSnapshot(2), 1);`;
  const signal = await new Promise((resolve) => {
    execFile(process.execPath, ["--input-type=module", "--eval", script], (error) => resolve(error?.signal));
  });
  expect(signal).toBe("SIGKILL");

  const checkpoints = new Checkpoints(path, exampleLayout);
  expect(await readdir(join(path, "checkpoints"))).toHaveLength(2);
  expect(await checkpoints.list()).toEqual([{ step: 1, path: join(path, "checkpoints", fileOf(1)) }]);
  const run = await resumeRun(path);
  expect(await readdir(join(path, "checkpoints"))).toEqual([fileOf(1)]);
  expect(await checkpoints.readNewest(refuse)).toEqual(exampleSnapshot(1));
  await run.close();
});

it("keeps the best beside the last few, and those that a run which goes on from one of them counts as best", async () => {
  const { folder, checkpoints } = await newCheckpoints();
  const bestSteps = async (): Promise<number[]> => (await checkpoints.list("best")).map(({ step }) => step);
  await checkpoints.saveBest(exampleSnapshot(2));
  await checkpoints.save(exampleSnapshot(3), 2);
  await checkpoints.saveBest(exampleSnapshot(4));
  await checkpoints.saveBest(exampleSnapshot(6));
  await checkpoints.save(exampleSnapshot(7), 2);
  // From step 3 the best was that of step 2; nobody goes on from between 4 and 6.
  expect(await bestSteps()).toEqual([2, 6]);
  await checkpoints.saveBest(exampleSnapshot(9));
  await checkpoints.save(exampleSnapshot(8), 2);
  // The next one is ahead of every checkpoint.
  expect(await bestSteps()).toEqual([6, 9]);
  expect(await checkpoints.readBest(9)).toEqual(exampleSnapshot(9));
  await damage(join(folder, "best-00000009.safetensors"));
  expect((await failureOf(() => checkpoints.readBest(9))).code).toBe("CHECKPOINT_DAMAGED");
});

it("keeps the best of a step of which there is a checkpoint too, as at the end of most epochs", async () => {
  const { checkpoints } = await newCheckpoints();
  const bestSteps = async (): Promise<number[]> => (await checkpoints.list("best")).map(({ step }) => step);
  for (const [step, best] of [
    [2, [2]],
    [4, [2, 4]],
    [6, [4, 6]],
  ] as const) {
    await checkpoints.saveBest(exampleSnapshot(step));
    await checkpoints.save(exampleSnapshot(step), 2);
    expect(await bestSteps()).toEqual(best);
  }
});

it("writes of the best that wait for the disk the newest", async () => {
  const { checkpoints } = await newCheckpoints();
  await Promise.all([1, 2, 3, 4].map((step) => checkpoints.saveBest(exampleSnapshot(step))));
  expect((await checkpoints.list("best")).map(({ step }) => step)).toEqual([4]);
});
