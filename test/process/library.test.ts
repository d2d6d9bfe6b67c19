/** `lockstep dashboard` over HTTP: every run of a folder can be looked at, also one that has no parameters yet. */
import { once } from "node:events";
import { cp, mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolder } from "../support/files.ts";
import { lockstep } from "../support/lockstep.ts";
import { writeMnistPart } from "../support/mnist.ts";

test("a run that was killed before its first checkpoint is shown, and ends neither the page nor the server", async () => {
  const folder = await temporaryFolder();
  await writeMnistPart(join(folder, "digits"), 300, 100);
  const job = ["--data", "digits", "--epochs", "1", "--workers", "1", "--name", "whole"];
  expect((await lockstep(["train", ...job], folder).finished).code).toBe(0);
  const [whole, bare] = ["whole", "bare"].map((name) => join(folder, "runs", name));
  await cp(whole!, bare!, { recursive: true });
  for (const file of ["model.onnx", "model.safetensors", "checkpoints"])
    await rm(join(bare!, file), { recursive: true });
  await mkdir(join(bare!, "checkpoints"));

  const served = lockstep(["dashboard", "runs", "--port", "0"], folder);
  const [line] = (await once(served.process.stdout!, "data")) as [Buffer];
  const url = /http:\S+/.exec(line.toString())![0];
  const ask = async (path: string): Promise<unknown> => (await fetch(new URL(path, url))).json();
  expect(await ask("api/runs")).toHaveLength(2);
  for (let round = 0; round < 2; round++) {
    expect(await ask("api/run?name=bare")).toMatchObject({ facts: { name: "bare" }, epochs: [{ epoch: 1 }] });
    expect(await ask("api/predict?name=bare")).toMatchObject({ error: { code: "CHECKPOINT_MISSING" } });
    expect(await ask("api/run?name=whole")).toMatchObject({ facts: { name: "whole", imageSide: 28 } });
  }
  await ask("api/run?name=bare");
  served.process.kill("SIGTERM");
  expect(await served.finished).toMatchObject({ code: 0, stderr: "" });
});
