/**
 * Puts the segments of one vector together, in whatever order they come. A segment is counted once, however often it
 * arrives, so that a duplicate can never make a vector look complete. Which of its bytes count is the vector's to say: of a partial
 * the first, which may have been added already; of parameters the last, since they may be sent before they are final, which they
 * are once the first segment is there.
 */
import { copyBytes } from "../memory/copy.ts";
import type { CheckedVector } from "../memory/vector.ts";
import { SEGMENT_BYTES } from "./messages.ts";
import type { Segment } from "./messages.ts";

export class Assembly {
  readonly #target: CheckedVector;
  readonly #counts: "first" | "last";
  readonly #seen = new Set<number>();
  #front = 0;
  #back: number;

  /**
   * @param target where the bytes go; its length is the vector's.
   * @param counts which bytes count of a segment that comes again
   */
  constructor(target: CheckedVector, counts: "first" | "last" = "first") {
    this.#target = target;
    this.#counts = counts;
    this.#back = SEGMENT_BYTES * this.#segments;
  }

  get #segments(): number {
    return Math.ceil(this.#target.bytes.length / SEGMENT_BYTES);
  }

  /** All bytes in front of this one are there. */
  get front(): number {
    return Math.min(this.#front, this.#target.bytes.length);
  }

  /** All bytes from this one on are there. */
  get back(): number {
    return Math.min(this.#back, this.#target.bytes.length);
  }

  /** Takes a segment; one that is `corrupt` may come once more, `complete` is said once, with the last missing segment. */
  take(segment: Segment, section: Uint8Array): "corrupt" | "partial" | "complete" {
    const { bytes, checksum } = this.#target;
    if (!segmentFits(segment, section.length, bytes.length)) return "corrupt";
    const again = this.#seen.has(segment.offset);
    // What is whole from the front on may be in use.
    if (again && (this.#counts === "first" || segment.offset < this.#front)) return "partial";
    if (!this.#put(segment, section) || checksum(segment.offset, segment.length) !== segment.checksum) return "corrupt";
    if (again) return "partial";
    this.#seen.add(segment.offset);
    while (this.#seen.has(this.#front)) this.#front += SEGMENT_BYTES;
    while (this.#seen.has(this.#back - SEGMENT_BYTES)) this.#back -= SEGMENT_BYTES;
    return this.#seen.size === this.#segments ? "complete" : "partial";
  }

  /** Writes a segment where it belongs, unless its section is packed and cannot be unpacked. */
  #put({ offset, length, packed }: Segment, section: Uint8Array): boolean {
    const { bytes, unpack } = this.#target;
    if (packed !== undefined) return unpack(packed, section, offset, length);
    copyBytes(bytes.subarray(offset, offset + length), section);
    return true;
  }
}

/** Whether a section is a segment of a vector of so many bytes, by its place and length. */
const segmentFits = ({ offset, length, total, packed }: Segment, received: number, bytes: number): boolean =>
  total === bytes &&
  (packed !== undefined || length === received) &&
  offset % SEGMENT_BYTES === 0 &&
  // An empty segment at the very end would count as the one that is missing.
  offset < total &&
  offset + length === Math.min(offset + SEGMENT_BYTES, total);
