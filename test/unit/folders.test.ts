import { execFile } from "node:child_process";
import { readdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { makeFolders } from "../../shared/folders.ts";
import { temporaryFolder } from "../support/files.ts";

test("folders are made, those above them too, for several at once", async () => {
  const root = await temporaryFolder();
  const path = join(root, "a", "b", "c");
  await Promise.all([makeFolders(path), makeFolders(path)]);
  await makeFolders(path);
  expect(await readdir(root, { recursive: true })).toEqual(["a", "a/b", "a/b/c"]);
  await writeFile(join(path, "file"), "");
  await expect(makeFolders(join(path, "file", "d"))).rejects.toMatchObject({ code: "ENOTDIR" });
});

test("only their user may read them where they are to be private", async () => {
  const root = await temporaryFolder();
  await makeFolders(join(root, "a", "b"), 0o700);
  for (const path of ["a", "a/b"]) expect((await stat(join(root, path))).mode & 0o777).toBe(0o700);
});

test.runIf(process.platform === "linux")(
  "a place that takes no folders is said to be none, and not tried for ever",
  async () => {
    await expect(makeFolders("/proc/home/cache")).rejects.toMatchObject({ code: "ENOENT" });
    const program = new URL("../../coordinator/cli/main.ts", import.meta.url).pathname;
    const env = { ...process.env, NODE_COMPILE_CACHE: "", LOCKSTEP_CACHE: "/proc/home/cache" };
    const version = await new Promise((resolve) => {
      execFile(process.execPath, [program, "--version"], { env, timeout: 20_000 }, (_, stdout) => resolve(stdout));
    });
    expect(version).toMatch(/^\d+\.\d+\.\d+\n$/);
  },
  30_000,
);
