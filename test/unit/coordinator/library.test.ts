/** The dashboard of a folder of runs, over real connections. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { configFromObject } from "../../../coordinator/config/resolve.ts";
import { serveLibrary } from "../../../coordinator/dashboard/serve.ts";
import { lockRun } from "../../../coordinator/run-folder/lock.ts";
import { JoinToken } from "../../../shared/protocol/handshake.ts";
import { temporaryFolder } from "../../support/files.ts";
import { exampleManifest } from "../../support/manifest.ts";

it("a run is no longer shown as running once its coordinator is gone, although that changes no file of it", async () => {
  const runs = await temporaryFolder();
  const path = join(runs, "one");
  await mkdir(path);
  await writeFile(join(path, "config.json"), JSON.stringify(configFromObject({ name: "one", runs })));
  await writeFile(join(path, "manifest.json"), JSON.stringify(exampleManifest));
  const joined = { at: 1, type: "worker-joined", worker: "anna", workers: 1 };
  await writeFile(join(path, "events.jsonl"), `${JSON.stringify(joined)}\n`);

  const library = await serveLibrary({ runs, host: "127.0.0.1", port: 0, token: JoinToken.none });
  onTestFinished(() => library.close());
  const list = async (): Promise<unknown> => (await fetch(new URL("api/runs", library.url))).json();
  const release = await lockRun(path);
  expect(await list()).toMatchObject([{ name: "one", state: "running" }]);
  await release();
  expect(await list()).toMatchObject([{ name: "one", state: "interrupted" }]);
});
