import { execFile } from "node:child_process";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { removePartialFiles, writeAtomically } from "../../../coordinator/run-folder/disk.ts";
import { failureOf } from "../../support/errors.ts";
import { temporaryFolder } from "../../support/files.ts";

const disk = new URL("../../../coordinator/run-folder/disk.ts", import.meta.url).href;

/** Runs `writeAtomically(path, "new")` in a process of its own after `setup`; resolves to how that process ended. */
function writeInProcess(path: string, setup: string): Promise<{ signal: string | null; output: string }> {
  const script = `
    import fs from "node:fs/promises";
    import { syncBuiltinESMExports } from "node:module";
    const kill = () => { process.kill(process.pid, "SIGKILL"); return new Promise(() => {}); };
    const fail = (code) => () => Promise.reject(Object.assign(new Error(code), { code }));
    const opened = async (change) => {
      const open = fs.open;
      fs.open = async (...args) => { const file = await open(...args); if (args[1] === "w") change(file); return file; };
    };
    ${setup}
    syncBuiltinESMExports();
    const { writeAtomically } = await import(${JSON.stringify(disk)});
    try { await writeAtomically(${JSON.stringify(path)}, "new"); } catch (error) { console.log(error.code + ": " + error.message); }`;
  return new Promise((resolve) => {
    execFile(process.execPath, ["--input-type=module", "--eval", script], (error, stdout) => {
      resolve({ signal: error?.signal ?? null, output: stdout.trim() });
    });
  });
}

it("writes and replaces a file, leaving nothing beside it", async () => {
  const folder = await temporaryFolder();
  const path = join(folder, "file");
  await writeAtomically(path, "old");
  await writeAtomically(path, Uint8Array.of(110, 101, 119));
  expect(await readFile(path, "utf8")).toBe("new");
  expect(await readdir(folder)).toEqual(["file"]);
});

it.each([
  ["before the first byte", `await opened((file) => { file.writeFile = kill; });`],
  ["before the sync", `await opened((file) => { file.sync = kill; });`],
  ["between write and rename", `fs.rename = kill;`],
])("killed %s, leaves the old file and nothing under the name of a new one", async (_, setup) => {
  const folder = await temporaryFolder();
  await writeFile(join(folder, "file"), "old");
  expect((await writeInProcess(join(folder, "file"), setup)).signal).toBe("SIGKILL");
  expect((await writeInProcess(join(folder, "fresh"), setup)).signal).toBe("SIGKILL");
  expect(await readFile(join(folder, "file"), "utf8")).toBe("old");
  const left = await readdir(folder);
  expect(left.filter((name) => !name.endsWith(".partial"))).toEqual(["file"]);
  expect(left).toHaveLength(3);

  await removePartialFiles(folder);
  expect(await readdir(folder)).toEqual(["file"]);
});

it("killed after the rename, leaves the new file", async () => {
  const path = join(await temporaryFolder(), "file");
  await writeFile(path, "old");
  const setup = `const rename = fs.rename; fs.rename = async (...args) => { await rename(...args); await kill(); };`;
  expect((await writeInProcess(path, setup)).signal).toBe("SIGKILL");
  expect(await readFile(path, "utf8")).toBe("new");
});

it.each([
  ["opening", `fs.open = fail("EACCES");`, "EACCES"],
  ["writing", `await opened((file) => { file.writeFile = fail("ENOSPC"); });`, "ENOSPC"],
  ["syncing", `await opened((file) => { file.sync = fail("EIO"); });`, "EIO"],
  ["renaming", `fs.rename = fail("EROFS");`, "EROFS"],
  ["a used-up quota, which Node has no name for,", `fs.rename = fail("Unknown system error -122");`, "EDQUOT"],
])("a failure of %s keeps the old file and names the path and the system's code", async (_, setup, code) => {
  const folder = await temporaryFolder();
  const path = join(folder, "file");
  await writeFile(path, "old");
  expect((await writeInProcess(path, setup)).output).toBe(`DISK_FAILED: cannot use ${path}: ${code}`);
  expect(await readFile(path, "utf8")).toBe("old");
  expect(await readdir(folder)).toEqual(["file"]);
});

it("syncs the file before the rename and the folder after it", async () => {
  const folder = await temporaryFolder();
  const setup = `
    const order = [];
    const open = fs.open;
    fs.open = async (...args) => {
      const file = await open(...args);
      const sync = file.sync.bind(file);
      file.sync = () => { order.push(args[1] === "w" ? "sync file" : "sync folder"); return sync(); };
      return file;
    };
    const rename = fs.rename;
    fs.rename = (...args) => { order.push("rename"); return rename(...args); };
    process.on("exit", () => console.log(order.join(", ")));`;
  expect((await writeInProcess(join(folder, "file"), setup)).output).toBe("sync file, rename, sync folder");
});

it("fails on a folder that is not there", async () => {
  const path = join(await temporaryFolder(), "missing", "file");
  const error = await failureOf(() => writeAtomically(path, "new"));
  expect(error).toMatchObject({ code: "DISK_FAILED", message: `cannot use ${path}: ENOENT` });
  expect(error.hint).toContain("--resume");
});

it("removes partial files only", async () => {
  const folder = await temporaryFolder();
  await mkdir(join(folder, "sub"));
  for (const name of ["a.1.partial", "b.safetensors.27.partial", "partial", "a"])
    await writeFile(join(folder, name), "");
  await removePartialFiles(folder);
  expect((await readdir(folder)).sort()).toEqual(["a", "partial", "sub"]);
});
