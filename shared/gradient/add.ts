/** Vectors that lie in one memory, added along the canonical tree, block by block. */
import type { Kernels } from "../kernels/index.ts";
import { BLOCK_FLOATS, blocksIn, lengthOf, termOf } from "../memory/blocks.ts";
import { splitAt } from "./tree.ts";

/**
 * Adds vectors along the canonical tree into the first of them; the others are spoiled.
 * @param terms their offsets, in bytes
 */
export function addAlongTree(kernels: Kernels, terms: readonly number[], bytes: number): void {
  for (let block = 0; block < blocksIn(bytes / 4); block++)
    addPlaces(kernels, placesOf(terms, block), lengthOf(block, bytes / 4));
}

/** The same in one pass with the sum's `blockwiseChecksum`, which it returns. */
export function addAndCheck(kernels: Kernels, terms: readonly number[], bytes: number): number {
  let sum = 0;
  for (let block = 0; block < blocksIn(bytes / 4); block++)
    sum += termOf(addAndCheckPlaces(kernels, placesOf(terms, block), lengthOf(block, bytes / 4)), block);
  return sum >>> 0;
}

/** Where a block of each term is. */
const placesOf = (terms: readonly number[], block: number): number[] =>
  terms.map((term) => term + 4 * BLOCK_FLOATS * block);

type Four = readonly [number, number, number, number];
const isFour = (places: readonly number[]): places is Four => places.length === 4;

/** Adds one block of each term into that of the first. */
function addPlaces(kernels: Kernels, places: readonly number[], count: number): void {
  if (places.length < 2) return;
  // The tree over four in one pass: three would write sums of two and read them again.
  if (isFour(places)) return kernels.addFour(places[0], ...places, count);
  const left = splitAt(places.length);
  addPlaces(kernels, places.slice(0, left), count);
  addPlaces(kernels, places.slice(left), count);
  kernels.add(places[0]!, places[0]!, places[left]!, count);
}

/** The same; returns the checksum of the sum. */
function addAndCheckPlaces(kernels: Kernels, places: readonly number[], count: number): number {
  if (isFour(places)) return kernels.addFourChecked(places[0], ...places, count);
  addPlaces(kernels, places, count);
  return kernels.checksum(places[0]!, count);
}
