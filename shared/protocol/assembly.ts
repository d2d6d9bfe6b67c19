/**
 * Puts the segments of one vector together, in whatever order they come. A segment is counted once, however often it
 * arrives, so that a duplicate can never make a vector look complete.
 */
import { copyBytes } from "../memory/copy.ts";
import type { CheckedVector } from "../memory/vector.ts";
import { SEGMENT_BYTES } from "./messages.ts";
import type { Segment } from "./messages.ts";

export class Assembly {
  readonly #target: CheckedVector;
  readonly #seen = new Set<number>();
  #front = 0;

  /** @param target where the bytes go; its length is the vector's. */
  constructor(target: CheckedVector) {
    this.#target = target;
  }

  /** All bytes in front of this one are there. */
  get front(): number {
    return Math.min(this.#front, this.#target.bytes.length);
  }

  /** Takes a segment; one that is `corrupt` may come once more, `complete` is said once, with the last missing segment. */
  take(segment: Segment, section: Uint8Array): "corrupt" | "partial" | "complete" {
    const { bytes, checksum } = this.#target;
    if (!segmentFits(segment, section.length, bytes.length)) return "corrupt";
    if (this.#seen.has(segment.offset)) return "partial";
    copyBytes(bytes.subarray(segment.offset, segment.offset + segment.length), section);
    if (checksum(segment.offset, segment.length) !== segment.checksum) return "corrupt";
    this.#seen.add(segment.offset);
    while (this.#seen.has(this.#front)) this.#front += SEGMENT_BYTES;
    return this.#seen.size === Math.ceil(bytes.length / SEGMENT_BYTES) ? "complete" : "partial";
  }
}

/** Whether a section is a segment of a vector of so many bytes, by its place and length. */
const segmentFits = ({ offset, length, total }: Segment, received: number, bytes: number): boolean =>
  total === bytes &&
  length === received &&
  offset % SEGMENT_BYTES === 0 &&
  // An empty segment at the very end would count as the one that is missing.
  offset < total &&
  offset + length === Math.min(offset + SEGMENT_BYTES, total);
