/** Writes config files into a folder of their own and reads what comes of them. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import { configFromFile } from "../../coordinator/config/resolve.ts";
import type { RunConfig } from "../../coordinator/config/config.ts";
import { LockstepError } from "../../shared/errors.ts";

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** An empty folder, removed when all tests of the file have ended. */
export function configFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "lockstep-test-"));
  folders.push(folder);
  return folder;
}

/** The config that a YAML text stands for; its file is named config.yaml, in a folder without runs. */
export function configOf(yaml: string): RunConfig {
  const folder = configFolder();
  writeFileSync(join(folder, "config.yaml"), yaml);
  return configFromFile(join(folder, "config.yaml"), { runs: join(folder, "runs") });
}

/** The error that an action ends with; its message without the folder of the files. */
export function refusal(action: () => unknown): { code: string; message: string; hint: string } {
  try {
    action();
  } catch (error) {
    if (!(error instanceof LockstepError)) throw error;
    return {
      code: error.code,
      message: error.message.replaceAll(/\S*\/(?=config\.(yaml|json))/g, ""),
      hint: error.hint,
    };
  }
  throw new Error("expected an error");
}
