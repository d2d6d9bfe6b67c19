/**
 * How a global batch is cut into shards, and which contiguous shards each owner computes. The cut depends on the config
 * alone and decides the bits; who owns what follows the connected workers and decides nothing but the time.
 */

/** How the samples of one batch are cut into shards: consecutive, sizes differing by at most one, larger ones first. */
export interface ShardCut {
  /** Samples in each shard. */
  readonly sizes: readonly number[];
  /** Position in the batch of each shard's first sample. */
  readonly starts: readonly number[];
}

/**
 * Cuts `samples` into at most `shards` shards. A shard has at least two samples unless the batch has only one, because
 * the engine's arithmetic for a single row differs from its arithmetic for many.
 */
export function cutIntoShards(samples: number, shards: number): ShardCut {
  const count = Math.min(shards, Math.max(1, Math.floor(samples / 2)));
  const base = Math.floor(samples / count);
  const larger = samples % count;
  const sizes = Array.from({ length: count }, (_, shard) => base + (shard < larger ? 1 : 0));
  const starts = sizes.map((_, shard) => shard * base + Math.min(shard, larger));
  return { sizes, starts };
}

/** A contiguous range of shards [start, end), possibly empty. */
export interface ShardRange {
  readonly start: number;
  readonly end: number;
}

/**
 * Contiguous ranges in proportion to `weights` (any positive unit, such as shards per second), in the order given.
 * Cutting at rounded cumulative weights keeps every range within one shard of its exact share.
 */
export function planRanges(shards: number, weights: readonly number[]): ShardRange[] {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  let cumulative = 0;
  let start = 0;
  return weights.map((weight) => {
    cumulative += weight;
    const end = Math.round((shards * cumulative) / total);
    const range = { start, end };
    start = end;
    return range;
  });
}
