/**
 * The run's data on a worker's machine: from where the plan says if the same data lies there, else from the cache, else
 * fetched from the coordinator into the cache. Everything is named by its SHA-256 and checked against it.
 */
import { createHash, randomUUID } from "node:crypto";
import { readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { readHere } from "../shared/compute/pool.ts";
import { readContent } from "../shared/data/content.ts";
import type { Dataset } from "../shared/data/dataset.ts";
import { OpenFiles } from "../shared/data/files.ts";
import { forRun } from "../shared/data/open.ts";
import type { OpenedData } from "../shared/data/open.ts";
import { readingOf } from "../shared/data/reading.ts";
import { errnoOf } from "../shared/errno.ts";
import { cacheFolder } from "../shared/cache-folder.ts";
import { LockstepError } from "../shared/errors.ts";
import { makeFolders } from "../shared/folders.ts";
import type { Log } from "../shared/log.ts";
import type { RunPlan } from "../shared/protocol/messages.ts";
import type { Source } from "./download.ts";

/** Progress is told so often, in milliseconds. */
const TELL_EVERY = 5_000;
/** A download that nobody has added to for so long is a dead process's. */
const ABANDONED_AFTER = 24 * 60 * 60 * 1000;

/** The data of a plan. Throws what reading it here said where that is worth more, or what fetching it says. */
export async function dataOf(
  plan: RunPlan,
  source: Source,
  environment: NodeJS.ProcessEnv,
  say: Log["say"],
): Promise<OpenedData> {
  try {
    return await readHere(plan);
  } catch (error) {
    if (!(error instanceof LockstepError)) throw error;
    // Files that are not here are the rule on another machine; files that are others are worth a word.
    if (error.code !== "DATA_MISSING") say("warn", `${error.message}: the coordinator's is used`);
  }
  const folder = join(cacheFolder(environment), "data");
  await prepare(folder);
  const names = await fetched(source, folder, plan.dataSha256, say, async (path) => {
    const text = await readFile(path);
    if (createHash("sha256").update(text).digest("hex") === plan.dataSha256) return text.toString();
    throw new LockstepError("DATA_MISMATCH", `${path} is not what it is named after`, "delete it");
  });
  const [, train = "", test = ""] = /^train ([0-9a-f]{64})\ntest ([0-9a-f]{64}|none)\n$/.exec(names) ?? [];
  const reading = readingOf(plan);
  const files = new OpenFiles();
  const part = (sha256: string): Promise<Dataset> =>
    fetched(source, folder, sha256, say, (path) => readContent(path, sha256, { memory: reading.memory, files }));
  return files.during(async () =>
    forRun({ train: await part(train), ...(test === "none" ? {} : { test: await part(test) }) }, reading, files),
  );
}

/** What `read` makes of the file of that name: the cached one if it is good, else a fresh one. */
async function fetched<Content>(
  source: Source,
  folder: string,
  sha256: string,
  say: Log["say"],
  read: (path: string) => Promise<Content>,
): Promise<Content> {
  const path = join(folder, sha256);
  const cached = await read(path).catch((error: unknown) => {
    if (!(error instanceof LockstepError) && errnoOf(error) !== "ENOENT") throw onDisk(path, error);
    if (error instanceof LockstepError && error.code !== "DATA_MISSING")
      say("warn", `${error.message}: it is fetched again`);
    return undefined;
  });
  if (cached !== undefined) return cached;
  // Each process its own: several may fetch the same at the same time.
  const draft = `${path}.${randomUUID()}.part`;
  let told = performance.now();
  // Most workers fetch nothing, and start without what speaks HTTP.
  const { download } = await import("./download.ts");
  try {
    await download(source, sha256, draft, (received, size) => {
      if (performance.now() - told < TELL_EVERY) return;
      told = performance.now();
      say("info", `fetching the run's data: ${megabytes(received)} of ${megabytes(size)} MB`);
    });
    const content = await read(draft);
    await rename(draft, path);
    return content;
  } catch (error) {
    await rm(draft, { force: true }).catch(() => {});
    if (!(error instanceof LockstepError)) throw onDisk(path, error);
    if (error.code !== "DATA_MISMATCH" && error.code !== "DATA_INVALID") throw error;
    throw new LockstepError(
      "DATA_MISMATCH",
      `what ${source.address.host} sent as data is not what the run trains on (SHA-256 ${sha256})`,
      "check what lies between this machine and the coordinator, and start this worker again",
      { cause: error },
    );
  }
}

/** An error of the system about a file of the cache, told to who can mend it; any other is none of the disk's. */
const onDisk = (path: string, cause: unknown): unknown =>
  errnoOf(cause) === undefined
    ? cause
    : new LockstepError(
        "DISK_FAILED",
        `cannot keep fetched data in ${path}: ${errnoOf(cause)}`,
        "make room, remove what is there, or name another folder in the variable LOCKSTEP_CACHE",
        { cause },
      );

async function prepare(folder: string): Promise<void> {
  try {
    await makeFolders(folder, 0o700);
    for (const name of (await readdir(folder)).filter((each) => each.endsWith(".part"))) {
      const path = join(folder, name);
      const written = await stat(path).then(
        ({ mtimeMs }) => mtimeMs,
        () => Number.POSITIVE_INFINITY,
      );
      if (Date.now() - written > ABANDONED_AFTER) await rm(path, { force: true });
    }
  } catch (cause) {
    throw onDisk(folder, cause);
  }
}

const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1);
