/**
 * Puts the segments of one vector together, in whatever order they come. Of a segment each block is counted once, however
 * often it arrives, so that a duplicate can never make a vector look complete. Which of its bytes count is the vector's to say: of a partial
 * the first, which may have been added already; of parameters the last, since they may be sent before they are final, which they
 * are once the first segment is there.
 */
import { copyBytes } from "../memory/copy.ts";
import type { RunningChecksum } from "../memory/blocks.ts";
import type { CheckedVector } from "../memory/vector.ts";
import { extentsBackFrom } from "./codec.ts";
import type { Place } from "./frame-reader.ts";
import { LONG_SEGMENT_BYTES, SEGMENT_BYTES } from "./messages.ts";
import type { Extent, Segment } from "./messages.ts";

export class Assembly {
  readonly #target: CheckedVector;
  readonly #counts: "first" | "last";
  /** Where the blocks that are there begin: a segment has one, or several. */
  readonly #seen = new Set<number>();
  /** The segment that was given room last, and the checksum of what of it has come. */
  #arriving: { readonly offset: number; readonly length: number; readonly checksum: RunningChecksum } | undefined;
  #front = 0;
  #back: number;

  /**
   * @param target where the bytes go; its length is the vector's.
   * @param counts which bytes count of a segment that comes again
   */
  constructor(target: CheckedVector, counts: "first" | "last" = "first") {
    this.#target = target;
    this.#counts = counts;
    this.#back = SEGMENT_BYTES * this.#blocks;
  }

  get #blocks(): number {
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

  /** Where the section of a segment may be put before it is taken: nowhere unless it comes as it is, and all of it is wanted. */
  roomFor(segment: Segment, received: number): Place | undefined {
    const { bytes } = this.#target;
    const { offset, length, packed } = segment;
    if (packed !== undefined || !segmentFits(segment, received, bytes.length)) return undefined;
    if (!blocksOf(segment).every((block) => this.#isWanted(block.offset))) return undefined;
    const checksum = this.#target.checksum(offset, length);
    this.#arriving = { offset, length, checksum };
    return { bytes: bytes.subarray(offset, offset + length), came: (count) => checksum.reach(count) };
  }

  /** Takes a segment; one that is `corrupt` may come once more, `complete` is said once, with the last missing segment. */
  take(segment: Segment, section: Uint8Array): "corrupt" | "partial" | "complete" {
    const isInPlace = this.#isInPlace(segment, section);
    const checksum = this.#checksumOf(segment, isInPlace);
    if (!segmentFits(segment, section.length, this.#target.bytes.length)) return "corrupt";
    const blocks = blocksOf(segment).filter(({ offset }) => this.#isWanted(offset));
    if (blocks.length === 0) return "partial";
    const isPut = isInPlace || this.#put(segment, section, blocks);
    if (!isPut || checksum.value !== segment.checksum) {
      this.#spoil(blocks);
      return "corrupt";
    }
    for (const { offset } of blocks) this.#seen.add(offset);
    while (this.#seen.has(this.#front)) this.#front += SEGMENT_BYTES;
    while (this.#seen.has(this.#back - SEGMENT_BYTES)) this.#back -= SEGMENT_BYTES;
    return this.#seen.size === this.#blocks ? "complete" : "partial";
  }

  /** Blocks that were there are written over. */
  #spoil(blocks: readonly Extent[]): void {
    for (const { offset } of blocks) {
      this.#seen.delete(offset);
      this.#back = Math.max(this.#back, offset + SEGMENT_BYTES);
    }
  }

  /** Forgets what was checked as it came: whatever is written from now on makes it stale. */
  #checksumOf({ offset, length }: Extent, isInPlace: boolean): RunningChecksum {
    const arriving = this.#arriving;
    this.#arriving = undefined;
    const isIt = isInPlace && arriving?.offset === offset && arriving.length === length;
    return isIt ? arriving.checksum : this.#target.checksum(offset, length);
  }

  /** Whether a section was read to where it belongs. */
  #isInPlace({ offset, packed }: Segment, section: Uint8Array): boolean {
    const { buffer, byteOffset } = this.#target.bytes;
    return packed === undefined && section.buffer === buffer && section.byteOffset === byteOffset + offset;
  }

  /** Whether a block is to be written. What is whole from the front on may be in use. */
  #isWanted(offset: number): boolean {
    return !this.#seen.has(offset) || (this.#counts === "last" && offset >= this.#front);
  }

  /** Writes these blocks of a segment where they belong, unless its section is packed and cannot be unpacked. */
  #put({ offset: start, length, packed }: Segment, section: Uint8Array, blocks: readonly Extent[]): boolean {
    const { bytes, unpack } = this.#target;
    if (packed !== undefined) return unpack(packed, section, start, length);
    for (const { offset, length: count } of blocks) {
      const from = offset - start;
      copyBytes(bytes.subarray(offset, offset + count), section.subarray(from, from + count));
    }
    return true;
  }
}

/** What of a segment is counted. */
const blocksOf = ({ offset, length }: Extent): Extent[] => [...extentsBackFrom(offset + length, true, offset)];

/** Whether a section is a segment of a vector of so many bytes, by its place and length. */
const segmentFits = ({ offset, length, total, packed }: Segment, received: number, bytes: number): boolean =>
  total === bytes &&
  (packed !== undefined || length === received) &&
  offset % SEGMENT_BYTES === 0 &&
  length > 0 &&
  length <= (packed === undefined ? LONG_SEGMENT_BYTES : SEGMENT_BYTES) &&
  (offset + length === total || (length % SEGMENT_BYTES === 0 && offset + length < total));
