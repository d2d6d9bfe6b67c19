/**
 * A run between two steps, as a safetensors file: parameters under their names, optimiser state as
 * "optimizer.<state>.<parameter>", the position in the metadata. A SHA-256 over the whole file, its own digits read as
 * zeros, is the first metadata entry: a file in which any byte changed is recognised, header and padding included.
 */

import { createHash } from "node:crypto";
import { z } from "zod";
import { LockstepError } from "../errors.ts";
import type { Layout } from "../memory/layout.ts";
import { decodeSafetensors, encodeSafetensors, type Tensor } from "./safetensors.ts";

/** Plain data, as JSON holds it; numbers are finite. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** Everything a run needs to continue to the same bits. Vectors are in layout order, padding included. */
export interface Snapshot {
  /** Steps done; the next step has this number. */
  readonly step: number;
  readonly epoch: number;
  readonly run: string;
  readonly layoutHash: string;
  readonly parameters: Float32Array;
  /** The optimiser's state vectors, in its order. */
  readonly state: readonly { readonly name: string; readonly vector: Float32Array }[];
  /** What steers training: the running epoch's sums, the best checkpoint and the like. */
  readonly steering: Json;
}

const format = "lockstep-checkpoint-1";
const count = z.int().nonnegative();
const position = z.strictObject({
  step: count,
  epoch: count,
  run: z.string(),
  layoutHash: z.string(),
  state: z.array(z.string()),
  steering: z.json(),
});
const zeros = "0".repeat(64);
/** How every checkpoint starts behind its header length; the digits follow. */
const opening = new TextEncoder().encode('{"__metadata__":{"sha256":"');
const digitsAt = 8 + opening.length;

/** The file's bytes: a copy, so the vectors may change afterwards. */
export function encodeSnapshot(layout: Layout, snapshot: Snapshot): Uint8Array {
  const { step, epoch, run, layoutHash, parameters, state, steering } = snapshot;
  if (layoutHash !== layout.hash) throw new Error("the snapshot is of another layout");
  const bytes = encodeSafetensors({
    metadata: {
      sha256: zeros,
      format,
      position: JSON.stringify(
        { step, epoch, run, layoutHash, state: state.map(({ name }) => name), steering },
        finite,
      ),
    },
    tensors: [
      ...tensorsOf(layout, parameters),
      ...state.flatMap(({ name, vector }) => tensorsOf(layout, vector, `optimizer.${name}.`)),
    ],
  });
  bytes.set(new TextEncoder().encode(digest(bytes)), digitsAt);
  return bytes;
}

/**
 * The snapshot in `bytes`; `source` is what errors call the file. Throws CHECKPOINT_DAMAGED unless it is whole and every byte
 * is as written, LAYOUT_MISMATCH where it belongs to another model.
 */
export function decodeSnapshot(layout: Layout, bytes: Uint8Array, source: string): Snapshot {
  const damaged = (reason: string): LockstepError =>
    new LockstepError("CHECKPOINT_DAMAGED", `${source} is damaged: ${reason}`, "Use another checkpoint.");
  const opens = Buffer.from(opening).equals(bytes.subarray(8, digitsAt));
  if (!opens) throw damaged("it does not start as a checkpoint does");
  const expected = new TextDecoder().decode(bytes.subarray(digitsAt, digitsAt + zeros.length));
  const found = digest(bytes);
  if (found !== expected) throw damaged(`expected SHA-256 ${expected}, found ${found}`);

  // From here on the bytes are what some Lockstep wrote; what remains is whether it is this version and this model.
  const { tensors, metadata } = decodeSafetensors(bytes, source);
  if (metadata["format"] !== format)
    throw damaged(`its format is ${JSON.stringify(metadata["format"])}, expected "${format}"`);
  const { state, ...place } = readPosition(metadata["position"], damaged);
  if (place.layoutHash !== layout.hash)
    throw new LockstepError(
      "LAYOUT_MISMATCH",
      `${source} holds parameters of layout ${place.layoutHash.slice(0, 12)}, the config describes layout ${layout.hash.slice(0, 12)}`,
      "Continue with the run's own config, or start a new run.",
    );
  const expectedTensors = layout.slots.length * (1 + state.length);
  if (tensors.length !== expectedTensors) throw damaged(`expected ${expectedTensors} tensors, found ${tensors.length}`);
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor.values]));
  const vectorOf = (prefix: string): Float32Array => {
    const vector = new Float32Array(layout.size);
    for (const { name, offset, length } of layout.slots) {
      const values = byName.get(prefix + name);
      if (values?.length !== length) throw damaged(`tensor ${prefix}${name} is missing or has another size`);
      vector.set(values, offset);
    }
    return vector;
  };
  return {
    ...place,
    parameters: vectorOf(""),
    state: state.map((name) => ({ name, vector: vectorOf(`optimizer.${name}.`) })),
  };
}

function readPosition(text: string | undefined, damaged: (reason: string) => LockstepError): z.infer<typeof position> {
  try {
    return position.parse(JSON.parse(text ?? ""));
  } catch (cause) {
    throw damaged(`its position is not readable: ${String(cause)}`);
  }
}

/** JSON has no place for what is not finite and would write null: the run would continue with other numbers. */
function finite(key: string, value: unknown): unknown {
  if (typeof value === "number" && !Number.isFinite(value)) throw new RangeError(`${key} is ${value}`);
  return value;
}

/** The parameters alone, under their names, for other software: `model.safetensors`. */
export function encodeModel(
  layout: Layout,
  parameters: Float32Array,
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  return encodeSafetensors({ tensors: tensorsOf(layout, parameters), metadata });
}

function tensorsOf(layout: Layout, vector: Float32Array, prefix = ""): Tensor[] {
  return layout.slots.map(({ name, shape, offset, length }) => ({
    name: prefix + name,
    shape,
    values: vector.subarray(offset, offset + length),
  }));
}

/** Of a whole file, the place of the digest read as zeros. */
function digest(bytes: Uint8Array): string {
  return createHash("sha256")
    .update(bytes.subarray(0, digitsAt))
    .update(zeros)
    .update(bytes.subarray(digitsAt + zeros.length))
    .digest("hex");
}
