/**
 * Frames: one WebSocket message each, in one fragment or two:
 *
 *   header            msgpack
 *   tensor section    float32, little-endian, as long as the header's `segment.length` says, or packed
 *
 * Tensors stay out of msgpack: it would copy them and lose their alignment. As a fragment of its own a section is sent from where
 * it lies, and received in one piece.
 */
import { Packr, Unpackr } from "msgpackr";
import { LockstepError } from "../errors.ts";
import type { CheckedVector } from "../memory/vector.ts";
import { LONG_SEGMENT_BYTES, SEGMENT_BYTES } from "./messages.ts";
import type { CoordinatorMessage, Extent, Segment, WorkerMessage } from "./messages.ts";

/** A header and a section. */
export const MOST_FRAGMENTS = 2;

/** How a vector is cut where what is long travels packed, or as it is. */
const longest = (packs: boolean): number => (packs ? SEGMENT_BYTES : LONG_SEGMENT_BYTES);

/**
 * The longest frame with a segment of a vector of so many bytes: a header that tells of MOST_CALLS has less than 48 KiB.
 * @param packs whether it would come packed
 */
export const segmentFrameLimit = (vectorBytes: number, packs: boolean): number =>
  Math.min(vectorBytes, longest(packs)) + 65_536;
/** The welcome carries the graphs. */
export const COORDINATOR_FRAME_LIMIT = 64 << 20;

// Records would make a frame depend on the frames before it; plain maps let each frame stand alone.
const packr = new Packr({ useRecords: false, mapsAsObjects: true });
// Reading, records would become generated code and references could make cycles: a peer that sends either is refused.
// A frame's bytes may be another frame's as soon as it is handled, so nothing that is read refers to them.
const reading = { useRecords: false, mapsAsObjects: true, structuredClone: false, copyBuffers: true };
const unpackr = Object.assign(new Unpackr(reading), { structures: Object.freeze([]) });
const empty = Buffer.alloc(0);

/** The fragments of a frame. */
export type Frame = readonly Buffer[];

/** How many bytes a frame has. */
export const bytesOf = (frame: Frame): number => frame.reduce((sum, { length }) => sum + length, 0);

/** Encodes one message; `section` is not copied: until the frame is flushed its bytes must stay what they are. */
export function encodeFrame(message: WorkerMessage | CoordinatorMessage, section?: Uint8Array): Frame {
  const header = packr.pack(message);
  if (section === undefined) return [header];
  return [header, Buffer.from(section.buffer, section.byteOffset, section.length)];
}

/** Splits a frame into its unchecked header and its section. Throws PROTOCOL_VIOLATION. */
export function decodeFrame(frame: Frame): { header: unknown; section: Uint8Array } {
  const [packed, section = empty] = frame;
  if (packed === undefined || frame.length > MOST_FRAGMENTS)
    throw new LockstepError("PROTOCOL_VIOLATION", `a frame has ${frame.length} fragments, expected 1 or 2`);
  try {
    return { header: unpackr.unpack(packed), section };
  } catch (cause) {
    throw new LockstepError("PROTOCOL_VIOLATION", `a frame's header of ${packed.length} bytes is not msgpack`, "", {
      cause,
    });
  }
}

interface Sent {
  readonly segment: Segment;
  readonly section: Uint8Array;
}

/** The segments of the first so many bytes of a vector, from the first one on. */
export function* extentsUntil(until: number, packs: boolean): Generator<Extent> {
  const step = longest(packs);
  for (let offset = 0; offset < until; offset += step) yield { offset, length: Math.min(step, until - offset) };
}

/** The segments of some bytes of a vector, from the last one on; both ends are the vector's or where segments may begin. */
export function* extentsBackFrom(until: number, packs: boolean, from = 0): Generator<Extent> {
  const step = longest(packs);
  for (let end = until; end > from;) {
    const offset = Math.max(from, step * (Math.ceil(end / step) - 1));
    yield { offset, length: end - offset };
    end = offset;
  }
}

/** A segment of a vector, with its header part. @param packs whether it is packed, if that makes it shorter */
export function segmentOf({ bytes, checksum, pack }: CheckedVector, { offset, length }: Extent, packs: boolean): Sent {
  const segment = { offset, length, total: bytes.length, checksum: checksum(offset, length).value };
  const made = packs ? pack(offset, length) : undefined;
  if (made !== undefined && made.section.length < length)
    return { segment: { ...segment, packed: made.packed }, section: made.section };
  return { segment, section: bytes.subarray(offset, offset + length) };
}
