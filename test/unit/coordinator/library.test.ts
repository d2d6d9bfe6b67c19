/** The dashboard of a folder of runs, over real connections. */
import { appendFile, mkdir, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it, onTestFinished, vi } from "vitest";
import { configFromObject } from "../../../coordinator/config/resolve.ts";
import { serveLibrary } from "../../../coordinator/dashboard/serve.ts";
import { lockRun } from "../../../coordinator/run-folder/lock.ts";
import { openData } from "../../../shared/data/open.ts";
import { JoinToken } from "../../../shared/protocol/handshake.ts";
import { temporaryFolder } from "../../support/files.ts";
import { exampleManifest } from "../../support/manifest.ts";

vi.mock(import("../../../shared/data/open.ts"), { spy: true });

/** Makes the folder of a run; returns its path. */
async function makeRun(runs: string, name: string): Promise<string> {
  const path = join(runs, name);
  await mkdir(path);
  await writeFile(join(path, "config.json"), JSON.stringify(configFromObject({ name, runs })));
  await writeFile(join(path, "manifest.json"), JSON.stringify(exampleManifest));
  return path;
}

/** What a dashboard of these runs answers. */
async function askLibrary(runs: string): Promise<(path: string) => Promise<unknown>> {
  const library = await serveLibrary({ runs, host: "127.0.0.1", port: 0, token: JoinToken.none });
  onTestFinished(() => library.close());
  return async (path) => (await fetch(new URL(path, library.url))).json();
}

it("a run is no longer shown as running once its coordinator is gone, although that changes no file of it", async () => {
  const runs = await temporaryFolder();
  const path = await makeRun(runs, "one");
  const joined = { at: 1, type: "worker-joined", worker: "anna", workers: 1 };
  await writeFile(join(path, "events.jsonl"), `${JSON.stringify(joined)}\n`);

  const ask = await askLibrary(runs);
  const { release } = await lockRun(path);
  expect(await ask("api/runs")).toMatchObject([{ name: "one", state: "running" }]);
  await release();
  expect(await ask("api/runs")).toMatchObject([{ name: "one", state: "interrupted" }]);
});

it("a run that goes on is looked at again and again, and its data is read once", async () => {
  const runs = await temporaryFolder();
  const path = await makeRun(runs, "one");
  const ask = await askLibrary(runs);
  const reads = vi.mocked(openData).mockClear();
  const snapshots: unknown[] = [];
  for (const worker of ["anna", "bert"]) {
    const joined = { at: 1, type: "worker-joined", worker, workers: 1 };
    await appendFile(join(path, "events.jsonl"), `${JSON.stringify(joined)}\n`);
    snapshots.push(await ask("api/run?name=one"));
  }
  expect(reads).toHaveBeenCalledTimes(1);
  const snapshotOf = (workers: number): object => ({
    facts: { imageSide: 28 },
    workers: Array.from({ length: workers }, () => ({})),
  });
  expect(snapshots).toMatchObject([1, 2].map(snapshotOf));
});

it.each<[what: string, code: string, message: RegExp, damage: (path: string) => Promise<unknown>]>([
  [
    "a config that is none",
    "CONFIG_INVALID",
    /hurt.config\.json/,
    (path) => writeFile(join(path, "config.json"), "null"),
  ],
  ["no manifest", "RUN_MISSING", /manifest\.json: ENOENT$/, (path) => rm(join(path, "manifest.json"))],
  ["a folder as metrics", "DISK_FAILED", /metrics\.jsonl: EISDIR$/, (path) => mkdir(join(path, "metrics.jsonl"))],
  [
    "metrics that lead nowhere",
    "DISK_FAILED",
    /metrics\.jsonl: ELOOP$/,
    (path) => symlink("metrics.jsonl", join(path, "metrics.jsonl")),
  ],
  [
    "an event that is none",
    "DEFECT",
    /^its folder cannot be read: /,
    (path) => writeFile(join(path, "events.jsonl"), '{ "at": 1, "type": "epoch" }\n'),
  ],
])("a run with %s is listed as damaged, with why, and hides no other", async (_, code, message, damage) => {
  const runs = await temporaryFolder();
  for (const name of ["first", "last"]) await makeRun(runs, name);
  const hurt = await makeRun(runs, "hurt");
  const ask = await askLibrary(runs);
  await damage(hurt);
  const whole = ["first", "last"].map((name) => expect.objectContaining({ name, state: "interrupted" }));
  const error = { code, message: expect.stringMatching(message), hint: expect.stringMatching(/./) };
  const listed = await ask("api/runs");
  expect(listed).toHaveLength(3);
  expect(listed).toEqual(expect.arrayContaining([...whole, { name: "hurt", state: "damaged", error }]));
  expect(await ask("api/run?name=last")).toMatchObject({ facts: { name: "last" } });

  await rm(hurt, { recursive: true });
  await makeRun(runs, "hurt");
  expect(await ask("api/runs")).toContainEqual(expect.objectContaining({ name: "hurt", state: "interrupted" }));
});
