import { mkdir, rm, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { existingRun, findRun, latestRun, runNames } from "../../../coordinator/run-folder/find.ts";
import { failureOf } from "../../support/errors.ts";
import { temporaryFolder } from "../../support/files.ts";

/** A folder of runs, each with when it wrote its last checkpoint, in seconds, if it has written one. */
async function folderOf(runs: Readonly<Record<string, number | undefined>>): Promise<string> {
  const folder = await temporaryFolder();
  for (const [name, written] of Object.entries(runs)) {
    await mkdir(join(folder, name, "checkpoints"), { recursive: true });
    await writeFile(join(folder, name, "config.json"), "{}");
    if (written === undefined) await rm(join(folder, name, "checkpoints"), { recursive: true });
    else await utimes(join(folder, name, "checkpoints"), written, written);
  }
  return folder;
}

it("a run is a folder with a config; what is half made, hidden or something else is none", async () => {
  const runs = await folderOf({ first: 1, ".hidden": 2, second: undefined });
  await mkdir(join(runs, "empty"));
  await writeFile(join(runs, "file"), "");
  expect(runNames(runs).sort()).toEqual(["first", "second"]);
  expect(existingRun("first", runs)).toEqual({ path: join(runs, "first"), runs, name: "first" });
  expect(existingRun("empty", runs)).toBeUndefined();
  expect(runNames(join(runs, "nowhere"))).toEqual([]);
});

it("a run is found by its name, or by the path of its folder wherever that is", async () => {
  const [runs, elsewhere] = [await folderOf({ one: 1 }), await folderOf({ two: 1 })];
  expect(findRun("one", runs)).toEqual({ path: join(runs, "one"), runs, name: "one" });
  const two = { path: join(elsewhere, "two"), runs: elsewhere, name: "two" };
  expect(findRun(join(elsewhere, "two"), runs)).toEqual(two);
});

it("the latest is the one that wrote a checkpoint last, whatever the order of names; one without any is the oldest", async () => {
  for (const [runs, latest] of [
    [{ a: 3, b: 1, c: 2 }, "a"],
    [{ a: 1, b: 3, c: 2 }, "b"],
    [{ a: undefined, b: 1 }, "b"],
    [{ a: 1, b: undefined }, "a"],
  ] as const)
    expect(latestRun(await folderOf(runs)).name).toBe(latest);
});

it("a run that is not there is told with what there is", async () => {
  const runs = await folderOf({ "mnist-1": 1 });
  expect(await failureOf(() => findRun("mnist-l", runs))).toMatchObject({
    code: "RUN_MISSING",
    message: `there is no run mnist-l in ${runs}; did you mean mnist-1?`,
    hint: "There are: mnist-1.",
  });
  expect(await failureOf(() => findRun("", runs))).toMatchObject({
    code: "CONFIG_INVALID",
    message: `the name of the run in ${runs} is empty`,
  });
  const none = await folderOf({});
  const hint = expect.stringContaining("--runs") as string;
  expect(await failureOf(() => findRun("x", none))).toMatchObject({ code: "RUN_MISSING", hint });
  expect(await failureOf(() => latestRun(none))).toMatchObject({ code: "RUN_MISSING", hint });
});
