/** A run's folder, made or opened again, with the file that its trace is written to. */
import { basename, join } from "node:path";
import { LockstepError } from "../../shared/errors.ts";
import type { RunConfig } from "../config/config.ts";
import { freshName } from "../config/resolve.ts";
import { withGraphs } from "../model/model.ts";
import { createRun, resumeRun } from "../run-folder/folder.ts";
import type { RunFolder } from "../run-folder/folder.ts";
import type { Manifest } from "../run-folder/manifest.ts";
import { TraceFile } from "../tracing/trace-file.ts";
import type { Ingredients } from "./ingredients.ts";

interface OpenedRun {
  readonly folder: RunFolder;
  readonly trace: TraceFile | undefined;
  /** With the name that the run has now. */
  readonly config: RunConfig;
}

interface OpeningOptions {
  /** What the folder is to say from now on. */
  readonly manifest: Manifest;
  /** The folder of a run that goes on. */
  readonly resumed: RunFolder | undefined;
  readonly mayRename: boolean;
  /** A new file for the trace, or `true`: one in the folder. */
  readonly trace: string | true | undefined;
}

/** Locks the folder of a run that is to go on. Throws DATA_MISMATCH where it would go on with other data. */
export async function reopen({ config, data }: Ingredients, cleanUp: AsyncDisposableStack): Promise<RunFolder> {
  const folder = closedWith(cleanUp, await resumeRun(join(config.runs, config.name)));
  const { dataSha256 } = folder.manifest;
  if (dataSha256 === data.sha256) return folder;
  const sentence = `the run ${config.name} trains on data with SHA-256 ${dataSha256}, this data has ${data.sha256}`;
  throw new LockstepError("DATA_MISMATCH", sentence, "resume with the data the run was started with");
}

/** Makes the folder, or writes into the one that goes on what may change on the way, such as more epochs. */
export async function openFolder(
  { config, model }: Ingredients,
  { manifest, resumed, mayRename, trace }: OpeningOptions,
  cleanUp: AsyncDisposableStack,
): Promise<OpenedRun> {
  const kept = withGraphs(config, model);
  // There is no folder either when the trace's file cannot be made.
  const named = typeof trace === "string" ? closedWith(cleanUp, await TraceFile.create(trace)) : undefined;
  const folder = resumed ?? closedWith(cleanUp, await newFolder(kept, manifest, mayRename));
  if (resumed !== undefined) {
    await resumed.writeConfig(kept);
    await resumed.writeManifest(manifest);
  }
  const inFolder = trace === true ? closedWith(cleanUp, await TraceFile.inFolder(folder.path)) : undefined;
  return { folder, trace: named ?? inFolder, config: { ...config, name: basename(folder.path) } };
}

/** Creates the folder of a run, under its name or, where it may be renamed, under the next that is free. */
async function newFolder(config: RunConfig, manifest: Manifest, mayRename: boolean): Promise<RunFolder> {
  const { runs, name } = config;
  try {
    return await createRun(join(runs, name), { config, manifest });
  } catch (error) {
    const next = freshName(config.data, runs);
    const isTaken = error instanceof LockstepError && error.code === "RUN_EXISTS" && next !== name;
    if (!mayRename || !isTaken) throw error;
    return newFolder({ ...config, name: next }, manifest, mayRename);
  }
}

const closedWith = <Open extends { close(): Promise<void> }>(cleanUp: AsyncDisposableStack, open: Open): Open =>
  cleanUp.adopt(open, () => open.close());
