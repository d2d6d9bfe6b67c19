import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test, vi } from "vitest";
import { cacheFolder, keepCompiledCode } from "../../shared/cache-folder.ts";

vi.mock("node:os", { spy: true });

const program = fileURLToPath(new URL("../../coordinator/cli/main.ts", import.meta.url));

test.for<[NodeJS.ProcessEnv, string]>([
  [{ LOCKSTEP_CACHE: "/somewhere", XDG_CACHE_HOME: "/caches" }, "/somewhere"],
  [{ LOCKSTEP_CACHE: "", XDG_CACHE_HOME: "/caches" }, "/caches/lockstep"],
  [{}, join(homedir(), ".cache", "lockstep")],
])("of %o the cache folder is %s", ([environment, folder]) => {
  expect(cacheFolder(environment)).toBe(folder);
});

test("a user without a home is told what to set, and compiles anew", async () => {
  vi.mocked(homedir).mockImplementation(() => {
    throw new Error("uv_os_homedir returned ENOENT");
  });
  onTestFinished(() => vi.mocked(homedir).mockRestore());
  expect(() => cacheFolder({})).toThrow(
    expect.objectContaining({ code: "DISK_FAILED", hint: "set LOCKSTEP_CACHE to a folder that may be written" }),
  );
  const environment = {};
  await keepCompiledCode(environment);
  expect(environment).toEqual({});
});

/** A fresh folder, and the command line started with it as its cache folder. */
function started(cacheAt: (folder: string) => string, more: NodeJS.ProcessEnv = {}) {
  const folder = mkdtempSync(join(tmpdir(), "lockstep-code-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const { NODE_COMPILE_CACHE: _, ...environment } = process.env;
  const run = () =>
    spawnSync(process.execPath, [program, "--version"], {
      // So that whatever is kept in the working directory by mistake is found, and nowhere else.
      cwd: folder,
      env: { ...environment, LOCKSTEP_CACHE: cacheAt(folder), ...more },
      encoding: "utf8",
    });
  return { folder, run };
}

test("compiled code is kept in the cache folder, or where Node is told to", () => {
  const { folder, run } = started((at) => at);
  expect(run()).toMatchObject({ status: 0, stderr: "" });
  expect(readdirSync(folder)).toEqual(["code"]);
  expect(readdirSync(join(folder, "code"), { recursive: true }).length).toBeGreaterThan(10);

  const elsewhere = mkdtempSync(join(tmpdir(), "lockstep-code-"));
  onTestFinished(() => rmSync(elsewhere, { recursive: true }));
  const { folder: unused, run: again } = started((at) => at, { NODE_COMPILE_CACHE: elsewhere });
  expect(again()).toMatchObject({ status: 0, stderr: "" });
  expect(readdirSync(unused)).toEqual([]);
  expect(readdirSync(elsewhere)).not.toEqual([]);
});

test("a variable that is empty says nothing of where", () => {
  const { folder, run } = started((at) => at, { NODE_COMPILE_CACHE: "" });
  expect(run()).toMatchObject({ status: 0, stderr: "" });
  expect(readdirSync(folder)).toEqual(["code"]);
});

test("where it cannot be kept nothing is said and nothing fails", () => {
  const { folder, run } = started((at) => join(at, "file"));
  writeFileSync(join(folder, "file"), "");
  expect(run()).toMatchObject({ status: 0, stderr: "" });
});
