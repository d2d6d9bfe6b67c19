/** Bytes as a vector in an arena of its own, for what is sent in segments or put together of them. */
import { instantiateKernels } from "../../shared/kernels/index.ts";
import { Arena } from "../../shared/memory/arena.ts";
import { Packing, packingBytes } from "../../shared/memory/packing.ts";
import { checkedVector } from "../../shared/memory/vector.ts";
import type { CheckedVector } from "../../shared/memory/vector.ts";
import { offsetsUntil, segmentAt } from "../../shared/protocol/codec.ts";

export function vectorOf(bytes: Uint8Array): CheckedVector {
  const arena = new Arena(packingBytes() + bytes.length);
  const kernels = instantiateKernels(arena.memory);
  const packing = new Packing(arena, kernels);
  const vector = checkedVector(arena, kernels, packing, arena.allocate(bytes.length), bytes.length);
  vector.bytes.set(bytes);
  return vector;
}

/** All segments of a vector, from the first one on. */
export const segmentsOf = (vector: CheckedVector, packs = false): ReturnType<typeof segmentAt>[] =>
  [...offsetsUntil(vector.bytes.length)].map((offset) => {
    const { segment, section } = segmentAt(vector, offset, packs);
    // The next one is packed to the same place.
    return { segment, section: segment.packed !== undefined ? section.slice() : section };
  });
