/** Bytes as a vector in an arena of its own, for what is sent in segments or put together of them. */
import { instantiateKernels } from "../../shared/kernels/index.ts";
import { Arena } from "../../shared/memory/arena.ts";
import { Packing, packingBytes } from "../../shared/memory/packing.ts";
import { checkedVector } from "../../shared/memory/vector.ts";
import type { CheckedVector } from "../../shared/memory/vector.ts";
import { extentsUntil, segmentOf } from "../../shared/protocol/codec.ts";

export function vectorOf(bytes: Uint8Array): CheckedVector {
  const arena = new Arena(packingBytes() + bytes.length);
  const kernels = instantiateKernels(arena.memory);
  const packing = new Packing(arena, kernels);
  const vector = checkedVector(arena, kernels, packing, arena.allocate(bytes.length), bytes.length);
  vector.bytes.set(bytes);
  return vector;
}

/** All segments of a vector, from the first one on. @param areShort whether they are cut as packed ones are */
export const segmentsOf = (vector: CheckedVector, packs = false, areShort = packs): ReturnType<typeof segmentOf>[] =>
  [...extentsUntil(vector.bytes.length, areShort)].map((extent) => {
    const { segment, section } = segmentOf(vector, extent, packs);
    // The next one is packed to the same place.
    return { segment, section: segment.packed !== undefined ? section.slice() : section };
  });
