/**
 * A layout says where each named tensor lies in one flat float32 vector. Tensors keep the order they are given in; each
 * starts on a 64-byte boundary (16 floats), because the engine's bits depend on alignment. The floats between two tensors
 * are padding: they are zero from the start and every kernel keeps them zero. Frozen tensors come last, so that a gradient's
 * vector is the front of the parameters'.
 *
 * Two processes with the same layout hash agree on what every float of the vector means.
 */
import { createHash } from "node:crypto";
import { LockstepError } from "../errors.ts";
import { product } from "../shape.ts";

/** Floats from one possible start of a tensor to the next: 64 bytes. */
const alignment = 16;

/** A tensor's place; `offset` and `length` count floats, `offset` is a multiple of 16. */
export interface Slot {
  readonly name: string;
  readonly shape: readonly number[];
  readonly offset: number;
  readonly length: number;
}

/** A tensor to be laid out. */
export interface Laid {
  readonly name: string;
  readonly shape: readonly number[];
  /** It keeps its values. */
  readonly frozen?: boolean;
}

/** All tensors of a vector of `size` floats (a multiple of 16). `hash` is SHA-256, hex, of names, shapes and offsets. */
export interface Layout {
  readonly slots: readonly Slot[];
  readonly size: number;
  /** Floats in front of the first frozen tensor. */
  readonly trained: number;
  readonly hash: string;
}

/**
 * Lays tensors out one behind the other.
 * @throws LockstepError SHAPE_MISMATCH for a name given twice or a dimension that is no positive integer
 * @throws LockstepError LAYOUT_MISMATCH for a tensor that is trained behind one that is frozen
 */
export function layoutOf(tensors: readonly Laid[]): Layout {
  const names = new Set<string>();
  const slots: Slot[] = [];
  let offset = 0;
  let trained = 0;
  for (const { name, shape, frozen = false } of tensors) {
    if (names.has(name)) throw new LockstepError("SHAPE_MISMATCH", `two tensors are named "${name}"`);
    names.add(name);
    const length = product(shape);
    if (
      !shape.every((dimension) => Number.isSafeInteger(dimension) && dimension > 0) ||
      !Number.isSafeInteger(length)
    ) {
      throw new LockstepError(
        "SHAPE_MISMATCH",
        `"${name}" has the shape [${shape.join(", ")}]`,
        "Every dimension must be a positive integer.",
      );
    }
    slots.push({ name, shape: [...shape], offset, length });
    if (!frozen && trained !== offset)
      throw new LockstepError("LAYOUT_MISMATCH", `"${name}" is trained, and lies behind what is frozen`);
    offset += Math.ceil(length / alignment) * alignment;
    if (!frozen) trained = offset;
  }
  const described = JSON.stringify(slots.map((slot) => [slot.name, slot.shape, slot.offset]));
  return { slots, size: offset, trained, hash: createHash("sha256").update(described).digest("hex") };
}

/** The floats of one tensor inside `vector`, without a copy. Throws where the layout has no such tensor. */
export function slotView(layout: Layout, slotName: string, vector: Float32Array): Float32Array {
  const slot = layout.slots.find((candidate) => candidate.name === slotName);
  if (slot === undefined) throw new Error(`the layout has no tensor "${slotName}"`);
  return vector.subarray(slot.offset, slot.offset + slot.length);
}

/**
 * SHA-256, hex, of the tensors' float32 bytes in layout order, padding left out. Bytes are little-endian, as in a
 * WebAssembly.Memory and on every machine Node 24 is built for with onnxruntime.
 */
export function parametersSha256(layout: Layout, vector: Float32Array): string {
  const hash = createHash("sha256");
  for (const { offset, length } of layout.slots) {
    hash.update(new Uint8Array(vector.buffer, vector.byteOffset + 4 * offset, 4 * length));
  }
  return hash.digest("hex");
}
