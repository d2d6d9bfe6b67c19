import { mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { createRun, readRun, resumeRun } from "../../../coordinator/run-folder/folder.ts";
import { failureOf } from "../../support/errors.ts";
import { temporaryFolder } from "../../support/files.ts";
import { exampleManifest } from "../../support/manifest.ts";

const record = { config: { seed: 1, layers: [784, 64, 10] }, manifest: exampleManifest };

/** Everything below `folder`, as paths, locks left out. */
const contents = async (folder: string): Promise<string[]> =>
  (await readdir(folder, { recursive: true })).filter((name) => !name.includes("lock.")).sort();

it("creates the folder with config and manifest, and the folder above it", async () => {
  const root = join(await temporaryFolder(), "runs");
  const path = join(root, "first");
  const run = await createRun(path, record);
  expect(await contents(root)).toEqual(["first", "first/checkpoints", "first/config.json", "first/manifest.json"]);
  expect(run).toMatchObject({ path, ...record });
  expect(await readRun(path)).toEqual(record);
  expect(await readFile(join(path, "config.json"), "utf8")).toBe(`${JSON.stringify(record.config, null, 2)}\n`);
  await run.close();
  expect(await readdir(path)).toEqual(["checkpoints", "config.json", "manifest.json"]);
});

it("lets others of this machine look at the run, as far as the umask does", async () => {
  const path = join(await temporaryFolder(), "run");
  await (await createRun(path, record)).close();
  const modeOf = async (file: string): Promise<number> => (await stat(file)).mode & 0o777;
  expect(await modeOf(path)).toBe(0o777 & ~process.umask());
  expect(await modeOf(join(path, "checkpoints"))).toBe(await modeOf(path));
  expect(await modeOf(join(path, "config.json"))).toBe(0o666 & ~process.umask());
});

it("refuses a run that exists, changes nothing and says what to do", async () => {
  const root = await temporaryFolder();
  const path = join(root, "run");
  await (await createRun(path, record)).close();
  const error = await failureOf(() =>
    createRun(path, { config: "other", manifest: { ...exampleManifest, run: "other" } }),
  );
  expect(error).toMatchObject({ code: "RUN_EXISTS", message: `${path} exists` });
  expect(error.hint).toContain("--resume");
  expect(error.hint).toContain("--name");
  expect(await readRun(path)).toEqual(record);
  expect(await readdir(root)).toEqual(["run"]);
});

it("refuses a name that something else has", async () => {
  const root = await temporaryFolder();
  await writeFile(join(root, "file"), "mine");
  await mkdir(join(root, "folder"));
  await writeFile(join(root, "folder", "notes"), "mine");
  for (const name of ["file", "folder"])
    expect((await failureOf(() => createRun(join(root, name), record))).code).toBe("RUN_EXISTS");
  expect(await contents(root)).toEqual(["file", "folder", "folder/notes"]);
  expect(await readFile(join(root, "file"), "utf8")).toBe("mine");
});

it("lets one of two that create the same run win", async () => {
  const path = join(await temporaryFolder(), "run");
  const results = await Promise.allSettled([createRun(path, record), createRun(path, record)]);
  expect(results.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
  expect(results.find(({ status }) => status === "rejected")).toMatchObject({ reason: { code: "RUN_EXISTS" } });
});

it.each(["..", ".hidden", "a b", "ü", "-x", "a".repeat(101)])("refuses the name %j", async (name) => {
  const root = await temporaryFolder();
  const error = await failureOf(() => createRun(`${root}/sub/${name}`, record));
  expect(error.code).toBe("CONFIG_INVALID");
  expect(error.message).toContain(`${JSON.stringify(name)} is no name for a run`);
  expect(await readdir(root)).toEqual([]);
});

it("locks a run from its creation to its end", async () => {
  const path = join(await temporaryFolder(), "run");
  const run = await createRun(path, record);
  expect((await failureOf(() => resumeRun(path))).code).toBe("RUN_LOCKED");
  await run.close();
  const again = await resumeRun(path);
  expect((await failureOf(() => resumeRun(path))).code).toBe("RUN_LOCKED");
  expect(await readRun(path)).toEqual(record);
  await again.close();
});

it("writes the manifest again and the models", async () => {
  const path = join(await temporaryFolder(), "run");
  const run = await createRun(path, record);
  const manifest = { ...exampleManifest, exact: false, ofAnotherVersion: "kept" };
  await run.writeManifest(manifest);
  await run.writeModel("model.onnx", Uint8Array.of(1, 2));
  await run.writeModel("model.safetensors", Uint8Array.of(3));
  await run.close();
  expect(await readRun(path)).toEqual({ ...record, manifest });
  expect([...(await readFile(join(path, "model.onnx")))]).toEqual([1, 2]);
  expect(await contents(path)).toEqual([
    "checkpoints",
    "config.json",
    "manifest.json",
    "model.onnx",
    "model.safetensors",
  ]);
});

it("removes what a killed process left half written, when the run is resumed", async () => {
  const path = join(await temporaryFolder(), "run");
  await (await createRun(path, record)).close();
  await writeFile(join(path, "manifest.json.3.partial"), "{");
  await writeFile(join(path, "checkpoints", "step-00000001.safetensors.9.partial"), "half");
  await (await resumeRun(path)).close();
  expect(await contents(path)).toEqual(["checkpoints", "config.json", "manifest.json"]);
});

it("names a run that is missing", async () => {
  const path = join(await temporaryFolder(), "run");
  for (const action of [resumeRun, readRun]) {
    const error = await failureOf(() => action(path));
    expect(error).toMatchObject({
      code: "RUN_MISSING",
      message: `${path} is no run folder: cannot read config.json: ENOENT`,
    });
  }
  await mkdir(path);
  await writeFile(join(path, "config.json"), "{}");
  expect((await failureOf(() => readRun(path))).message).toContain("cannot read manifest.json: ENOENT");
});

it("names a config that is no JSON", async () => {
  const path = join(await temporaryFolder(), "run");
  await (await createRun(path, record)).close();
  await writeFile(join(path, "config.json"), '{"seed":');
  const error = await failureOf(() => resumeRun(path));
  expect(error.code).toBe("CONFIG_INVALID");
  expect(error.message).toContain(`${join(path, "config.json")} is no JSON`);
});

it.each([
  ["null", "all of it"],
  ["[]", "all of it"],
  ["{}", /run, lockstep, node, created, seed, batch, shards, exact, dataSha256, layoutHash, parameters$/],
  [
    JSON.stringify({ ...exampleManifest, dataSha256: 7, quarantined: [{ worker: "liar" }] }),
    ": dataSha256, quarantined",
  ],
])("names a manifest that is %s, and says what of it is damaged", async (text, says) => {
  const path = join(await temporaryFolder(), "run");
  await (await createRun(path, record)).close();
  await writeFile(join(path, "manifest.json"), text);
  for (const action of [resumeRun, readRun]) {
    const error = await failureOf(() => action(path));
    expect(error.code).toBe("CONFIG_INVALID");
    expect(error.message).toContain(`${join(path, "manifest.json")} is damaged`);
    expect(error.message).toMatch(says);
    expect(error.hint).toContain("Restore the file");
  }
});

it("fails with DISK_FAILED where the folder above is a file", async () => {
  const file = join(await temporaryFolder(), "file");
  await writeFile(file, "");
  const error = await failureOf(() => createRun(join(file, "run"), record));
  expect(error.code).toBe("DISK_FAILED");
  expect(error.message).toContain(join(file, "run"));
});
