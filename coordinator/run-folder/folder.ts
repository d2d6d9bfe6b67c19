/**
 * The run folder runs/<name>/: config.json, manifest.json and a lock from the start, metrics.jsonl, events.jsonl, checkpoints/,
 * traces and TensorBoard's files where they are wanted, and at the end model.onnx and model.safetensors. It appears at once with config and manifest in it, and nothing existing is overwritten.
 */

import { randomUUID } from "node:crypto";
import { mkdir, readFile, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { errnoOf } from "../../shared/errno.ts";
import { LockstepError } from "../../shared/errors.ts";
import { makeFolders } from "../../shared/folders.ts";
import { checkpointFolder } from "./checkpoints.ts";
import { onDisk, removePartialFiles, syncFolder, writeAtomically } from "./disk.ts";
import { lockRun } from "./lock.ts";
import { checkedManifest, type Manifest } from "./manifest.ts";
import { runName, runNameRule } from "./name.ts";

/** What a run folder says about itself. The config is parsed JSON; whoever reads it checks it. */
export interface RunRecord {
  readonly config: unknown;
  readonly manifest: Manifest;
}

/** A run folder that this process alone may write. */
export interface RunFolder extends RunRecord {
  readonly path: string;
  writeConfig(config: unknown): Promise<void>;
  writeManifest(manifest: Manifest): Promise<void>;
  writeModel(file: "model.onnx" | "model.safetensors", bytes: Uint8Array): Promise<void>;
  /** To be asked before anything else is written. Throws DISK_FAILED where the folder is no longer this process's. */
  readonly check: () => Promise<void>;
  /** Gives the lock back. */
  close(): Promise<void>;
}

/** Creates and locks the folder `path`. Throws RUN_EXISTS, CONFIG_INVALID for a name that is none, or DISK_FAILED. */
export async function createRun(path: string, record: RunRecord): Promise<RunFolder> {
  const name = basename(path);
  if (!runName.test(name))
    throw new LockstepError("CONFIG_INVALID", `${JSON.stringify(name)} is no name for a run`, `Use ${runNameRule}.`);
  await onDisk(path, () => makeFolders(dirname(path)));
  // Not `mkdtemp`, whose folders nobody else can open whatever this user's umask says.
  const draft = join(dirname(path), `.${name}-${randomUUID()}`);
  await onDisk(path, () => mkdir(draft));
  try {
    await onDisk(path, () => mkdir(checkpointFolder(draft)));
    await writeAtomically(join(draft, "config.json"), jsonText(record.config));
    await writeAtomically(join(draft, "manifest.json"), jsonText(record.manifest));
    await onDisk(path, () => rename(draft, path));
  } catch (error) {
    await rm(draft, { recursive: true, force: true }).catch(() => {});
    const code = error instanceof LockstepError ? errnoOf(error.cause) : undefined;
    // A folder replaces an empty one and nothing else.
    if (code === "ENOTEMPTY" || code === "EEXIST" || code === "ENOTDIR" || code === "EPERM") throw exists(path);
    throw error;
  }
  await onDisk(path, () => syncFolder(dirname(path)));
  return lockedRun(path, record);
}

/** Opens an existing run to continue it: locks it and removes half-written files. Throws RUN_MISSING or RUN_LOCKED. */
export async function resumeRun(path: string): Promise<RunFolder> {
  const record = await readRun(path);
  const folder = await lockedRun(path, record);
  try {
    await removePartialFiles(path);
    await removePartialFiles(checkpointFolder(path));
  } catch (error) {
    await folder.close();
    throw error;
  }
  return folder;
}

/** Reads what a run is, without locking it. Throws RUN_MISSING, or CONFIG_INVALID for a file that is not JSON or no manifest. */
export async function readRun(path: string): Promise<RunRecord> {
  const config = await readJson(path, "config.json");
  const manifest = await readJson(path, "manifest.json");
  return { config, manifest: checkedManifest(manifest, join(path, "manifest.json")) };
}

async function lockedRun(path: string, record: RunRecord): Promise<RunFolder> {
  const { check, release } = await lockRun(path);
  const write = async (file: string, content: Uint8Array | string): Promise<void> => {
    await check();
    await writeAtomically(join(path, file), content);
  };
  return {
    ...record,
    path,
    writeConfig: (config) => write("config.json", jsonText(config)),
    writeManifest: (manifest) => write("manifest.json", jsonText(manifest)),
    writeModel: write,
    check,
    close: release,
  };
}

async function readJson(path: string, file: string): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(join(path, file), "utf8");
  } catch (cause) {
    throw new LockstepError(
      "RUN_MISSING",
      `${path} is no run folder: cannot read ${file}: ${errnoOf(cause) ?? String(cause)}`,
      "Check the run's name, or leave out --resume to start it.",
      { cause },
    );
  }
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new LockstepError(
      "CONFIG_INVALID",
      `${join(path, file)} is no JSON: ${String(cause)}`,
      "Restore the file as the run wrote it.",
      { cause },
    );
  }
}

const exists = (path: string): LockstepError =>
  new LockstepError(
    "RUN_EXISTS",
    `${path} exists`,
    "Continue that run with --resume, or choose another name with --name (in TypeScript `resume: true`, or `name`).",
  );

const jsonText = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;
