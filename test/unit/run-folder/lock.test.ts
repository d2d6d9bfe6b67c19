import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { isInUse, lockRun } from "../../../coordinator/run-folder/lock.ts";
import { failureOf } from "../../support/errors.ts";
import { hasLimits, lowerFileLimit } from "../../support/file-limit.ts";
import { temporaryFolder } from "../../support/files.ts";

const lock = new URL("../../../coordinator/run-folder/lock.ts", import.meta.url).href;

/** A process that locks `folder`, says "locked" or its error's code, and stays. */
async function lockInProcess(folder: string): Promise<{ child: ChildProcess; said: string }> {
  const script = `
    import { lockRun } from ${JSON.stringify(lock)};
    await lockRun(${JSON.stringify(folder)}).then(() => console.log("locked"), (error) => console.log(error.code));
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => {
    child.kill("SIGKILL");
  });
  const [chunk] = (await once(child.stdout, "data")) as unknown[];
  return { child, said: String(chunk).trim() };
}

async function kill(child: ChildProcess): Promise<void> {
  child.kill("SIGKILL");
  await once(child, "exit");
}

it("refuses a second lock until the first is given back", async () => {
  const folder = await temporaryFolder();
  const { release } = await lockRun(folder);
  const error = await failureOf(() => lockRun(folder));
  expect(error).toMatchObject({ code: "RUN_LOCKED", message: `${folder} is in use by process ${process.pid}` });
  await release();
  expect(await readdir(folder)).toEqual([]);
  await (await lockRun(folder)).release();
});

it("refuses a folder that a living process has locked, naming it, and takes it over when that process is killed", async () => {
  const folder = await temporaryFolder();
  const { child, said } = await lockInProcess(folder);
  expect(said).toBe("locked");
  const error = await failureOf(() => lockRun(folder));
  expect(error).toMatchObject({ code: "RUN_LOCKED", message: `${folder} is in use by process ${child.pid}` });
  expect(await readdir(folder)).toHaveLength(1);

  await kill(child);
  expect(await readdir(folder)).toHaveLength(1);
  const { release } = await lockRun(folder);
  expect(await readdir(folder)).toEqual([expect.stringContaining(`.${process.pid}.`)]);
  await release();
});

it("lets at most one of many processes in", async () => {
  const folder = await temporaryFolder();
  // The claim of a dead process lies there already, which is where taking over could let in two.
  const dead = await lockInProcess(folder);
  await kill(dead.child);
  const all = await Promise.all(Array.from({ length: 6 }, () => lockInProcess(folder)));
  const locked = all.filter(({ said }) => said === "locked");
  expect(locked.length).toBeLessThanOrEqual(1);
  expect(all.filter(({ said }) => said === "RUN_LOCKED")).toHaveLength(all.length - locked.length);
});

it.runIf(process.platform === "linux")("takes over from a dead process whose id is in use again", async () => {
  const folder = await temporaryFolder();
  await writeFile(join(folder, `lock.${encodeURIComponent(hostname())}.1.123456789`), "");
  expect(await readFile("/proc/1/stat", "utf8")).not.toContain(" 123456789 ");
  const { release } = await lockRun(folder);
  expect(await readdir(folder)).toHaveLength(1);
  await release();
});

it.runIf(process.platform === "linux")(
  "takes over from a process that has ended and that nobody has waited for",
  async () => {
    const folder = await temporaryFolder();
    // It ends when the shell, which would wait for it, is another program.
    const child = "(until [ $(cat /proc/$$/comm) = sleep ]; do sleep 0.01; done) & echo $!";
    const parent = spawn("sh", ["-c", `${child}; exec sleep 60`], { stdio: ["ignore", "pipe", "inherit"] });
    onTestFinished(() => {
      parent.kill("SIGKILL");
    });
    const [chunk] = (await once(parent.stdout, "data")) as unknown[];
    const pid = String(chunk).trim();
    const fields = async (): Promise<string[]> => (await readFile(`/proc/${pid}/stat`, "utf8")).split(" ");
    await expect.poll(async () => (await fields())[2]).toBe("Z");
    await writeFile(join(folder, `lock.${encodeURIComponent(hostname())}.${pid}.${(await fields())[21]}`), "");
    expect(await isInUse(folder)).toBe(false);
    const { release } = await lockRun(folder);
    expect(await isInUse(folder)).toBe(true);
    await release();
  },
);

it("takes another machine's claim for a living one, and says which file to delete if it is not", async () => {
  const folder = await temporaryFolder();
  const name = "lock.another%20host.7.1";
  await writeFile(join(folder, name), "");
  const error = await failureOf(() => lockRun(folder));
  expect(error).toMatchObject({ code: "RUN_LOCKED", message: `${folder} is in use by process 7 on another host` });
  expect(error.hint).toContain(`delete ${join(folder, name)}`);
  expect(await isInUse(folder)).toBe(true);
  expect(await readdir(folder)).toEqual([name]);
});

const boot = process.platform === "linux" ? await readFile("/proc/sys/kernel/random/boot_id", "utf8") : "";

it.runIf(boot !== "")(
  "takes over from a dead process of another container on this machine, and not from a living one",
  async () => {
    const folder = await temporaryFolder();
    const { child, said } = await lockInProcess(folder);
    expect(said).toBe("locked");
    const [own] = await readdir(folder);
    // What it would be called in a container: with another host name, or with one that is ours by chance.
    for (const name of ["lock.4f1c0e2b77aa.1.77", `lock.${encodeURIComponent(hostname())}.1.77`]) {
      await rename(join(folder, (await readdir(folder))[0]!), join(folder, name));
      const { code, hint } = await failureOf(() => lockRun(folder));
      // It certainly runs: its claim is not to be deleted.
      expect([code, hint]).toEqual(["RUN_LOCKED", expect.stringMatching(/stop it/)]);
      expect(hint).not.toContain("delete");
      expect(await isInUse(folder)).toBe(true);
    }
    await rename(join(folder, (await readdir(folder))[0]!), join(folder, "lock.4f1c0e2b77aa.1.77"));
    await kill(child);
    expect(await isInUse(folder)).toBe(false);
    const { release } = await lockRun(folder);
    expect(await readdir(folder)).toEqual([expect.stringContaining(`.${process.pid}.`)]);
    expect(own).not.toContain(`.${process.pid}.`);
    await release();
  },
);

it.runIf(boot !== "")(
  "takes over from a process of this host that was there before the machine was started anew",
  async () => {
    const folder = await temporaryFolder();
    const name = `lock.${encodeURIComponent(hostname())}.${process.pid}.123456789`;
    await writeFile(join(folder, name), "7d1c8a2e-0000-4000-8000-000000000000\n");
    const { release } = await lockRun(folder);
    expect(await readdir(folder)).not.toContain(name);
    await release();
  },
);

it.runIf(boot !== "")("asks no kernel about the processes of another", async () => {
  const folder = await temporaryFolder();
  await writeFile(join(folder, "lock.another.7.1"), "7d1c8a2e-0000-4000-8000-000000000000\n");
  expect((await failureOf(() => lockRun(folder))).code).toBe("RUN_LOCKED");
  await writeFile(join(folder, "lock.another.7.1"), boot);
  await (await lockRun(folder)).release();
});

it("does not mind other files", async () => {
  const folder = await temporaryFolder();
  const names = ["lock", "lock.json", "lock.host.1.", "lock.%.1.1", "package.lock"];
  for (const name of names) await writeFile(join(folder, name), "");
  const { release } = await lockRun(folder);
  await release();
  expect((await readdir(folder)).sort()).toEqual([...names].sort());
});

it("is given back on a disk that keeps the file, and taken again by the same process", async () => {
  const folder = await temporaryFolder();
  const { release } = await lockRun(folder);
  const [name] = await readdir(folder);
  const [file, aside] = [join(folder, name!), join(folder, "aside")];
  // A folder with something in it stays where a file would go.
  await rename(file, aside);
  await mkdir(join(file, "something"), { recursive: true });
  await release();
  expect((await failureOf(() => lockRun(folder))).code).toBe("DISK_FAILED");
  await rm(file, { recursive: true });
  await rename(aside, file);
  const again = await lockRun(folder);
  expect((await failureOf(() => lockRun(folder))).code).toBe("RUN_LOCKED");
  await again.release();
  expect(await readdir(folder)).toEqual([]);
});

it("that fails on the way leaves nothing in the way of the next one: where a dead process's claim cannot be removed", async () => {
  const folder = await temporaryFolder();
  const dead = `lock.${encodeURIComponent(hostname())}.${2 ** 30}.1`;
  await mkdir(join(folder, dead));
  expect(await failureOf(() => lockRun(folder))).toMatchObject({
    code: "DISK_FAILED",
    message: `cannot use ${join(folder, dead)}: ERR_FS_EISDIR`,
  });
  expect(await readdir(folder)).toEqual([dead]);
  await rm(join(folder, dead), { recursive: true });
  await (await lockRun(folder)).release();
});

it.runIf(hasLimits)("and where this process may open no more files", async () => {
  const folder = await temporaryFolder();
  // What it loads is there.
  await (await lockRun(folder)).release();
  const restored = await lowerFileLimit(() => {
    // For one file, and it needs two at a time.
    const free = openSync("/dev/null", "r");
    closeSync(free);
    return free + 1;
  }, 0.5);
  const { code, message } = await failureOf(() => lockRun(folder));
  expect([code, message]).toEqual(["DISK_FAILED", expect.stringMatching(/lock\..*: EMFILE$/)]);
  await restored();
  expect(await readdir(folder)).toEqual([]);
  await (await lockRun(folder)).release();
});

it("says that it is gone where its folder is, or is another one, and not where the folder was only away", async () => {
  const folder = join(await temporaryFolder(), "run");
  await mkdir(folder);
  const { check, release } = await lockRun(folder);
  await check();
  await rename(folder, `${folder}-aside`);
  expect(await failureOf(check)).toMatchObject({ code: "DISK_FAILED" });
  await mkdir(folder);
  const error = await failureOf(check);
  expect(error.message).toMatch(/run is no longer this run's: lock\..* is gone from it, so nothing is written there$/);
  await rm(folder, { recursive: true });
  await rename(`${folder}-aside`, folder);
  await check();
  await release();
});

it("fails with DISK_FAILED where it cannot write", async () => {
  const error = await failureOf(() => lockRun("/nowhere/run"));
  expect(error.code).toBe("DISK_FAILED");
  expect(error.message).toMatch(/^cannot use \/nowhere\/run\/lock\..*: ENOENT$/);
});
