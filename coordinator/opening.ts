/** What a run's folder is made for, or opened again: a name that is free, and the data it was begun with. */
import { join } from "node:path";
import { LockstepError } from "../shared/errors.ts";
import type { RunConfig } from "./config.ts";
import { freshName } from "./config/resolve.ts";
import type { Ingredients } from "./plan.ts";
import { createRun } from "./run-folder/folder.ts";
import type { RunFolder } from "./run-folder/folder.ts";
import type { Manifest } from "./run-folder/manifest.ts";

/** Throws DATA_MISMATCH where a run would go on with other data. */
export function checkSameData({ config, data }: Ingredients, { dataSha256 }: Manifest): void {
  if (dataSha256 === data.sha256) return;
  const sentence = `the run ${config.name} trains on data with SHA-256 ${dataSha256}, this data has ${data.sha256}`;
  throw new LockstepError("DATA_MISMATCH", sentence, "resume with the data the run was started with");
}

/** Creates the folder of a run, under its name or, where it may be renamed, under the next that is free. */
export async function newFolder(config: RunConfig, manifest: Manifest, mayRename: boolean): Promise<RunFolder> {
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
