/** What manifest.json says of a run besides its config. Without it whole, nobody can tell whether data and workers are the run's. */
import { z } from "zod";
import { LockstepError } from "../../shared/errors.ts";

const count = z.int().nonnegative();
const quarantine = z.object({ worker: z.string(), step: count, since: count });

const manifest = z
  .object({
    run: z.string(),
    lockstep: z.string(),
    node: z.string(),
    created: z.string(),
    seed: z.int(),
    batch: count,
    shards: count,
    exact: z.boolean(),
    dataSha256: z.string(),
    layoutHash: z.string(),
    /** Number of values, frozen ones included. */
    parameters: count,
    /** SHA-256 of the files that parameters started from, by path. */
    startedFrom: z.exactOptional(z.record(z.string(), z.string())),
    /** The arithmetic of the run's first worker; every other one must have the same unless the run is inexact. */
    fingerprint: z.exactOptional(z.string()),
    /** Workers that were proved to have sent wrong gradients. */
    quarantined: z.exactOptional(z.array(quarantine).readonly()),
  })
  .readonly();

export type Manifest = z.infer<typeof manifest>;
/** What another version wrote besides is kept when the file is written again. */
const asWritten = manifest.unwrap().loose();

/** The manifest in `file`, given what its JSON holds. Throws CONFIG_INVALID, naming what is missing or not as it was written. */
export function checkedManifest(found: unknown, file: string): Manifest {
  const parsed = asWritten.safeParse(found);
  if (parsed.success) return parsed.data;
  const keys = new Set(parsed.error.issues.map(({ path }) => String(path[0] ?? "all of it")));
  throw new LockstepError(
    "CONFIG_INVALID",
    `${file} is damaged; missing or not as it was written: ${[...keys].join(", ")}`,
    "Restore the file as the run wrote it, or start a new run.",
  );
}
