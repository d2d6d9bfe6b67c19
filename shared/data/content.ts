/**
 * A dataset as one file of the bytes that its name is the SHA-256 of: what a coordinator sends to workers that lack it,
 * and what they keep. Who reads one checks the name, so it does not matter where it has been.
 */
import { open } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { Type } from "typebox";
import { Compile } from "typebox/compile";
import { LockstepError } from "../errors.ts";
import { createDataset } from "./dataset.ts";
import type { Dataset } from "./dataset.ts";
import { unreadable } from "./unreadable.ts";

const count = Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER });
const header = Compile(
  Type.Object({
    sampleShape: Type.Array(count, { maxItems: 16 }),
    target: Type.Union([
      Type.Object({ kind: Type.Literal("class"), classes: count, positions: Type.Optional(count) }),
      Type.Object({ kind: Type.Literal("values"), width: count }),
    ]),
    type: Type.Union([Type.Literal("uint8"), Type.Literal("float32")]),
    targets: count,
  }),
);
const LONGEST_HEADER = 4_096;

/**
 * Reads a dataset of a name, onto shared memory. Throws DATA_MISSING, DATA_INVALID for a file that is none, and
 * DATA_MISMATCH where it has another name.
 */
export async function readContent(path: string, sha256: string): Promise<Dataset> {
  const file = await open(path, "r").catch((cause: unknown) => {
    throw unreadable(path, cause);
  });
  try {
    const dataset = await parse(path, file);
    if (dataset.sha256 === sha256) return dataset;
    throw new LockstepError("DATA_MISMATCH", `${path} has SHA-256 ${dataset.sha256}, not ${sha256}`, "delete it");
  } finally {
    await file.close();
  }
}

async function parse(path: string, file: FileHandle): Promise<Dataset> {
  const { buffer } = await file.read(Buffer.alloc(LONGEST_HEADER), 0, LONGEST_HEADER, 0);
  const end = buffer.indexOf("\n");
  const said = parsed(buffer.subarray(0, Math.max(0, end)).toString());
  const { size } = await file.stat();
  const bytes = header.Check(said) ? size - (end + 1) - 4 * said.targets : -1;
  if (!header.Check(said) || bytes < 0 || (said.type === "float32" && bytes % 4 !== 0))
    throw new LockstepError("DATA_INVALID", `${path} is no dataset, or not a whole one`, "delete it");
  const features = new SharedArrayBuffer(bytes);
  const targets = new SharedArrayBuffer(4 * said.targets);
  await fill(file, new Uint8Array(features), end + 1);
  await fill(file, new Uint8Array(targets), end + 1 + bytes);
  return createDataset({
    sampleShape: said.sampleShape,
    target: said.target,
    features: said.type === "uint8" ? new Uint8Array(features) : new Float32Array(features),
    targets: said.target.kind === "class" ? new Int32Array(targets) : new Float32Array(targets),
  });
}

/** One call reads at most 2 GiB. */
async function fill(file: FileHandle, into: Uint8Array, position: number): Promise<void> {
  let filled = 0;
  while (filled < into.length) {
    const length = Math.min(into.length - filled, 1 << 30);
    const { bytesRead } = await file.read(into, filled, length, position + filled);
    // Cut short since its size was asked: what is missing stays zero, and the name will not fit.
    if (bytesRead === 0) return;
    filled += bytesRead;
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
