/** A run folder that is removed while its coordinator goes on, and what a run of the same name that is begun then has to fear of it. */
import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolder } from "../support/files.ts";
import { asEvents, lockstep, worker } from "../support/lockstep.ts";
import { writeMnistPart } from "../support/mnist.ts";

test("a coordinator whose run folder was removed writes nothing into the one that is there in its place", async () => {
  const folder = await temporaryFolder();
  await writeMnistPart(join(folder, "digits"), 300, 100);
  const flags = ["--data", "digits", "--batch", "30", "--name", "nightly", "--tensorboard", ...asEvents];
  const older = lockstep(["coordinator", ...flags, "--epochs", "100000"], folder);
  const { url } = await older.event("listening");
  worker([url]);
  await older.event("step");
  const run = join(folder, "runs", "nightly");
  // Tried again where the coordinator has written another file meanwhile: with its lock gone it writes no more.
  await rm(run, { recursive: true, maxRetries: 20 });

  const newer = lockstep(["coordinator", ...flags, "--epochs", "1"], folder);
  await newer.event("waiting");
  const order = (command: string): Promise<Response> =>
    fetch(`${url.replace("ws", "http")}/api/${command}`, { method: "POST" });
  expect((await order("checkpoint")).status).toBe(200);
  // What was being written when the folder went has failed as well, by another name.
  const noLongerOurs = `runs/nightly is no longer this run's: lock.`;
  await older.event("warning", ({ message }) => message.includes(noLongerOurs));
  expect((await order("stop")).status).toBe(200);
  const { code, error } = await older.finished;
  expect(code).toBe(1);
  expect(error).toContain("[DISK_FAILED]");

  const { pid } = newer.process;
  const found = (await readdir(run)).toSorted();
  expect(found.filter((name) => name.startsWith("lock."))).toEqual([expect.stringContaining(`.${pid}.`)]);
  const others = ["checkpoints", "config.json", "events.jsonl", "manifest.json", "metrics.jsonl"];
  expect(found.filter((name) => !name.startsWith("lock."))).toEqual(others);
  expect(await readdir(join(run, "checkpoints"))).toEqual([]);
  expect(await readFile(join(run, "metrics.jsonl"), "utf8")).toBe("");
  const types = (await readFile(join(run, "events.jsonl"), "utf8")).match(/"type":"[a-z-]+"/g);
  expect(types).toEqual(["listening", "waiting"].map((type) => `"type":"${type}"`));
}, 60_000);
