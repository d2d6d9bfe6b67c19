/** `lockstep dashboard` over HTTP: every run of a folder can be looked at, also one that has no parameters yet. */
import { once } from "node:events";
import { cp, mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { expect, test } from "vitest";
import { temporaryFolder } from "../support/files.ts";
import { lockstep } from "../support/lockstep.ts";
import type { Lockstep } from "../support/lockstep.ts";
import { writeMnistPart } from "../support/mnist.ts";

/** A folder with a run that is completed. */
async function withRun(name: string): Promise<string> {
  const folder = await temporaryFolder();
  await writeMnistPart(join(folder, "digits"), 300, 100);
  const job = ["--data", "digits", "--epochs", "1", "--workers", "1", "--name", name];
  expect((await lockstep(["train", ...job], folder).finished).code).toBe(0);
  return folder;
}

async function dashboardOf(folder: string): Promise<{ served: Lockstep; ask: (path: string) => Promise<unknown> }> {
  const served = lockstep(["dashboard", "runs", "--port", "0"], folder);
  const [line] = (await once(served.process.stdout!, "data")) as [Buffer];
  const url = /http:\S+/.exec(line.toString())![0];
  return { served, ask: async (path) => (await fetch(new URL(path, url))).json() };
}

test("a run that was killed before its first checkpoint is shown, and ends neither the page nor the server", async () => {
  const folder = await withRun("whole");
  const [whole, bare] = ["whole", "bare"].map((name) => join(folder, "runs", name));
  await cp(whole!, bare!, { recursive: true });
  for (const file of ["model.onnx", "model.safetensors", "checkpoints"])
    await rm(join(bare!, file), { recursive: true });
  await mkdir(join(bare!, "checkpoints"));

  const { served, ask } = await dashboardOf(folder);
  expect(await ask("api/runs")).toHaveLength(2);
  for (let round = 0; round < 2; round++) {
    expect(await ask("api/run?name=bare")).toMatchObject({ facts: { name: "bare" }, epochs: [{ epoch: 1 }] });
    expect(await ask("api/predict?name=bare")).toMatchObject({ error: { code: "CHECKPOINT_MISSING" } });
    expect(await ask("api/run?name=whole")).toMatchObject({ facts: { name: "whole", imageSide: 28 } });
  }
  await ask("api/run?name=bare");
  // As npm and `timeout` pass it on.
  served.process.kill("SIGTERM");
  await setTimeout(100);
  expect(served.process.kill("SIGTERM")).toBe(true);
  expect(await served.finished).toMatchObject({ code: 0, stderr: "" });
});

test("damaged runs hide no other, and each command names the file that is damaged", async () => {
  const folder = await withRun("whole");
  const damages = [
    ["no-config", "config.json", "null"],
    ["another-config", "config.json", '{ "batch": "x" }'],
    ["no-manifest", "manifest.json", "null"],
    ["empty-manifest", "manifest.json", "{}"],
  ] as const;
  const copied = async (name: string): Promise<string> => {
    const path = join(folder, "runs", name);
    await cp(join(folder, "runs", "whole"), path, { recursive: true });
    return path;
  };
  for (const [name, file, text] of damages) await writeFile(join(await copied(name), file), text);
  const model = join(await copied("no-model"), "model.safetensors");
  await rm(model);
  await mkdir(model);

  const { served, ask } = await dashboardOf(folder);
  const shown = (await ask("api/runs")) as { name: string; state: string }[];
  expect(Object.fromEntries(shown.map(({ name, state }) => [name, state]))).toEqual({
    ...Object.fromEntries(damages.map(([name]) => [name, "damaged"])),
    "no-model": "completed",
    whole: "completed",
  });
  for (const [name] of damages)
    expect(await ask(`api/run?name=${name}`)).toMatchObject({ error: { code: "CONFIG_INVALID" } });
  expect(await ask("api/run?name=no-model")).toMatchObject({ facts: { name: "no-model" } });
  expect(await ask("api/predict?name=no-model")).toMatchObject({ error: { code: "DISK_FAILED" } });
  served.process.kill("SIGTERM");
  expect(await served.finished).toMatchObject({ code: 0, stderr: "" });

  for (const [name, file] of damages)
    for (const command of [
      ["evaluate", name],
      ["train", "--resume", name],
    ]) {
      const { code, stderr } = await lockstep(command, folder).finished;
      expect(code, stderr).toBe(2);
      expect(stderr).toContain(join("runs", name, file));
      expect(stderr).toMatch(/\[CONFIG_INVALID\]\n +what to do: /);
      expect(stderr).not.toMatch(/^ +at /m);
    }
  const { code, stderr } = await lockstep(["evaluate", "no-model"], folder).finished;
  expect(code).toBe(1);
  expect(stderr).toMatch(/cannot read .*no-model.model\.safetensors: EISDIR \[DISK_FAILED\]\n +what to do: /);
});
