/**
 * Buckets: the trained parameters, in layout order, cut into a few consecutive groups, so that what is long can be on its way
 * group by group. Parameters come from the first bucket to the last, as a forward pass needs them; gradients leave from the last
 * to the first, as a backward pass finds them. Both sides derive the same from the layout.
 */
import type { Layout } from "../memory/layout.ts";
import { LEAST_BUCKET_BYTES, SEGMENT_BYTES } from "../protocol/messages.ts";

/** The most buckets that a vector is cut into: each costs calls of the engine. */
export const MOST_BUCKETS = 4;

/** Where each bucket begins, in floats, ascending from 0. */
export function bucketStarts({ slots, trained }: Layout): number[] {
  const least = Math.max(LEAST_BUCKET_BYTES / 4, trained / MOST_BUCKETS);
  const starts: number[] = [];
  let end = trained;
  for (const { offset } of slots.toReversed()) {
    if (offset === 0 || end - offset < least) continue;
    starts.unshift(offset);
    end = offset;
  }
  return [0, ...starts];
}

/** The bucket that the parameter at this float is in. */
export const bucketAt = (starts: readonly number[], float: number): number =>
  starts.findLastIndex((start) => start <= float);

/** How many buckets lie within the first so many bytes of the parameters, if not all. */
export const bucketsWithin = (starts: readonly number[], bytes: number): number =>
  starts.findLastIndex((start) => 4 * start <= bytes);

/** The first byte of a partial from which whole segments hold nothing of the buckets before this one. */
export const firstByteOf = (starts: readonly number[], bucket: number): number =>
  Math.ceil((4 * starts[bucket]!) / SEGMENT_BYTES) * SEGMENT_BYTES;
