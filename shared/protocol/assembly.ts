/**
 * Puts the segments of one vector together, in whatever order they come. A segment is counted once, however often it
 * arrives, so that a duplicate can never make a vector look complete.
 */
import { segmentIsIntact } from "./codec.ts";
import { SEGMENT_BYTES } from "./messages.ts";
import type { Segment } from "./messages.ts";

export class Assembly {
  readonly #target: Uint8Array;
  readonly #seen = new Set<number>();

  /** @param target where the bytes go; its length is the vector's. */
  constructor(target: Uint8Array) {
    this.#target = target;
  }

  /** Takes a segment; `corrupt` leaves everything as it was, `complete` is said once, with the last missing segment. */
  take(segment: Segment, section: Uint8Array): "corrupt" | "partial" | "complete" {
    if (!segmentIsIntact(segment, section, this.#target.length)) return "corrupt";
    if (this.#seen.has(segment.offset)) return "partial";
    this.#seen.add(segment.offset);
    this.#target.set(section, segment.offset);
    return this.#seen.size === Math.ceil(this.#target.length / SEGMENT_BYTES) ? "complete" : "partial";
  }
}
