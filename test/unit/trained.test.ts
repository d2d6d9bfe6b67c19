import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { configFromObject } from "../../coordinator/config/resolve.ts";
import { loadTrained } from "../../coordinator/trained/trained.ts";
import { failureOf } from "../support/errors.ts";
import { temporaryFolder, writeIdxFolder } from "../support/files.ts";
import { exampleManifest } from "../support/manifest.ts";

it("a run that was stopped before its first checkpoint has nothing to evaluate, and says how to get there", async () => {
  const runs = await temporaryFolder();
  const path = join(runs, "young");
  await mkdir(join(path, "checkpoints"), { recursive: true });
  await writeIdxFolder(runs);
  const config = configFromObject({ name: "young", runs, data: { kind: "idx", path: runs } });
  await writeFile(join(path, "config.json"), JSON.stringify(config));
  await writeFile(join(path, "manifest.json"), JSON.stringify(exampleManifest));
  const error = await failureOf(() => loadTrained({ runs, name: "young", path }, () => {}));
  expect(error.code).toBe("CHECKPOINT_MISSING");
  expect(error.message).toContain(`${path} holds neither`);
  expect(error.hint).toContain("train --resume young");
});
