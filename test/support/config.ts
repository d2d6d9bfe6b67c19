/** Config files in folders of their own, and what comes of them: a config, or the sentence it is refused with. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import { readConfigFile } from "../../coordinator/config/file.ts";
import type { ConfigFlags } from "../../coordinator/config/flags.ts";
import { configFromWritten, written } from "../../coordinator/config/resolve.ts";
import type { RunConfig } from "../../coordinator/config/config.ts";
import { refusal } from "./errors.ts";

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

/** The config of a new run, from a file (or the defaults) and flags. */
export const configFromFile = (file: string | undefined, flags: ConfigFlags): RunConfig =>
  configFromWritten(file === undefined ? written({}) : readConfigFile(file), flags);

/** The config that a YAML text stands for; its file is named config.yaml, in a folder without runs. */
export function configOf(yaml: string): RunConfig {
  const folder = configFolder();
  writeFileSync(join(folder, "config.yaml"), yaml);
  return configFromFile(join(folder, "config.yaml"), { runs: join(folder, "runs") });
}

/** What a config is refused with; its file is named in the message without its folder. */
export function configRefusal(action: () => unknown): { code: string; message: string; hint: string } {
  const { code, message, hint } = refusal(action);
  return { code, message: message.replaceAll(/\S*\/(?=config\.(yaml|json))/g, ""), hint };
}
