import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { configFromObject } from "../../coordinator/config/resolve.ts";
import type { FoundRun } from "../../coordinator/run-folder/find.ts";
import { loadTrained } from "../../coordinator/trained/trained.ts";
import { failureOf } from "../support/errors.ts";
import { temporaryFolder, writeIdxFolder } from "../support/files.ts";
import { exampleManifest } from "../support/manifest.ts";
import { openFiles } from "../support/open-files.ts";

/** A run without a checkpoint, whose data is read from its files. */
async function youngRun(): Promise<FoundRun> {
  const runs = await temporaryFolder();
  const path = join(runs, "young");
  await mkdir(join(path, "checkpoints"), { recursive: true });
  await writeIdxFolder(runs);
  const config = configFromObject({ name: "young", runs, data: { kind: "idx", path: runs }, dataMemory: 0 });
  await writeFile(join(path, "config.json"), JSON.stringify(config));
  await writeFile(join(path, "manifest.json"), JSON.stringify(exampleManifest));
  return { runs, name: "young", path };
}

it("a run that was stopped before its first checkpoint has nothing to evaluate, and says how to get there", async () => {
  const run = await youngRun();
  const error = await failureOf(() => loadTrained(run, () => {}));
  expect(error.code).toBe("CHECKPOINT_MISSING");
  expect(error.message).toContain(`${run.path} holds neither`);
  expect(error.hint).toContain("train --resume young");
});

it.runIf(process.platform === "linux")("the data of a run that cannot be loaded is closed", async () => {
  const run = await youngRun();
  await failureOf(() => loadTrained(run, () => {}));
  expect(openFiles(run.runs)).toEqual([]);
});
