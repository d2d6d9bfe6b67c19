/**
 * A dataset as one file of the bytes that its name is the SHA-256 of: what a coordinator sends to workers that lack it,
 * and what they keep. Who reads one checks the name, so it does not matter where it has been.
 */
import { z } from "zod";
import { LockstepError } from "../errors.ts";
import { sharedBuffer } from "../memory/huge-pages.ts";
import { product } from "../shape.ts";
import { createDataset } from "./dataset.ts";
import type { Dataset } from "./dataset.ts";
import { featuresOf, partOfFile, readInto, sizeOfFile, type Destination } from "./files.ts";

const count = z.int().min(1);
const header = z.object({
  sampleShape: z.array(count).max(16),
  target: z.discriminatedUnion("kind", [
    z.object({ kind: z.literal("class"), classes: count, positions: z.exactOptional(count) }),
    z.object({ kind: z.literal("values"), width: count }),
  ]),
  type: z.enum(["uint8", "float32"]),
  targets: count,
});
const LONGEST_HEADER = 4_096;

/**
 * Reads a dataset of a name. Features that have no room in memory stay in the file, which is held open: it may be moved.
 * Throws DATA_MISSING, DATA_INVALID for a file that is none, and DATA_MISMATCH where it has another name.
 */
export async function readContent(path: string, sha256: string, to: Destination): Promise<Dataset> {
  const start = await partOfFile(path, 0, LONGEST_HEADER);
  const end = start.indexOf("\n") + 1;
  const { data: said } = header.safeParse(parsed(start.subarray(0, end).toString()));
  if (said === undefined) throw noDataset(path);
  const { sampleShape, target, type } = said;
  const width = product(sampleShape);
  const stride = width * (type === "uint8" ? 1 : 4);
  const bytes = (await sizeOfFile(path)) - end - 4 * said.targets;
  const samples = bytes / stride;
  if (!Number.isInteger(samples) || samples < 1) throw noDataset(path);
  return to.files.during(async () => {
    const features = featuresOf([{ path, stored: type, offset: end, stride, samples }], width, to);
    const shared = sharedBuffer(4 * said.targets);
    // Cut short since its size was asked: what is missing stays zero, and the name will not fit.
    await readInto(new Uint8Array(shared), path, end + bytes);
    const targets = target.kind === "class" ? new Int32Array(shared) : new Float32Array(shared);
    const dataset = createDataset({ sampleShape, target, features, targets });
    if (dataset.sha256 === sha256) return dataset;
    throw new LockstepError("DATA_MISMATCH", `${path} has SHA-256 ${dataset.sha256}, not ${sha256}`, "delete it");
  });
}

const noDataset = (path: string): LockstepError =>
  new LockstepError("DATA_INVALID", `${path} is no dataset, or not a whole one`, "delete it");

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
