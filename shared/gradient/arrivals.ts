/**
 * What the signal of arrived parameters (shared/memory/signal.ts) says: which version of them is there. Where memory is shared, the
 * coordinator sets it and workers' threads read it.
 */
import { MOST_BUCKETS } from "./buckets.ts";

/** No version, or one, or of the next one so many buckets, but not all. */
export const NOTHING = 0;
export const signalOf = (version: number, buckets = MOST_BUCKETS): number => MOST_BUCKETS * version + buckets;
/** No version after this one can be told of: a signal is a signed 32-bit number. */
export const LAST_VERSION = 2 ** 31 / MOST_BUCKETS - 2;
