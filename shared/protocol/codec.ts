/**
 * Frames: one WebSocket message each.
 *
 *   bytes 0–3   length of the header, little-endian
 *   bytes 4–…   the header, msgpack
 *   padding     zeros up to a multiple of 8
 *   the rest    the tensor section: float32, little-endian, as long as the header's `segment.length` says
 *
 * Tensors stay out of msgpack: it would copy them and lose their alignment.
 */
import { Packr, Unpackr } from "msgpackr";
import { LockstepError } from "../errors.ts";
import { copyBytes } from "../memory/copy.ts";
import type { CheckedVector } from "../memory/vector.ts";
import { SEGMENT_BYTES } from "./messages.ts";
import type { CoordinatorMessage, Segment, WorkerMessage } from "./messages.ts";

/** The longest frame with a segment of a vector of so many bytes, and all that a worker sends besides. */
export const segmentFrameLimit = (vectorBytes: number): number => Math.min(vectorBytes, SEGMENT_BYTES) + 16_384;
/** The welcome carries the graphs. */
export const COORDINATOR_FRAME_LIMIT = 64 << 20;

// Records would make a frame depend on the frames before it; plain maps let each frame stand alone.
const packr = new Packr({ useRecords: false, mapsAsObjects: true });
// Reading, records would become generated code and references could make cycles: a peer that sends either is refused.
// A frame's bytes may be another frame's as soon as it is handled, so nothing that is read refers to them.
const reading = { useRecords: false, mapsAsObjects: true, structuredClone: false, copyBuffers: true };
const unpackr = Object.assign(new Unpackr(reading), { structures: Object.freeze([]) });
const aligned = (length: number): number => (length + 7) & ~7;
const empty = new Uint8Array(0);

/** Encodes one message; `section` is copied, so its buffer may change as soon as this returns. */
export function encodeFrame(message: WorkerMessage | CoordinatorMessage, section: Uint8Array = empty): Buffer {
  const header = packr.pack(message);
  const start = aligned(4 + header.length);
  const frame = Buffer.allocUnsafe(start + section.length);
  frame.writeUInt32LE(header.length, 0);
  frame.set(header, 4);
  frame.fill(0, 4 + header.length, start);
  copyBytes(frame.subarray(start), section);
  return frame;
}

/** Splits a frame into its unchecked header and its section, a view into the frame. Throws PROTOCOL_VIOLATION. */
export function decodeFrame(frame: Buffer): { header: unknown; section: Uint8Array } {
  const length = frame.length >= 4 ? frame.readUInt32LE(0) : Number.POSITIVE_INFINITY;
  const start = aligned(4 + length);
  // The smallest frames need no padding behind the header, so the padded start may lie past the end.
  if (4 + length > frame.length) {
    throw new LockstepError(
      "PROTOCOL_VIOLATION",
      `a frame of ${frame.length} bytes announces a header of ${length} bytes`,
    );
  }
  let header: unknown;
  try {
    header = unpackr.unpack(frame.subarray(4, 4 + length));
  } catch (cause) {
    throw new LockstepError("PROTOCOL_VIOLATION", `a frame's header of ${length} bytes is not msgpack`, "", { cause });
  }
  return { header, section: frame.subarray(Math.min(start, frame.length)) };
}

/** The segments a vector is sent in, each with its header part. */
export function* segmentsOf({ bytes, checksum }: CheckedVector): Generator<{ segment: Segment; section: Uint8Array }> {
  for (let offset = 0; offset < bytes.length; offset += SEGMENT_BYTES) {
    const length = Math.min(SEGMENT_BYTES, bytes.length - offset);
    const segment = { offset, length, total: bytes.length, checksum: checksum(offset, length) };
    yield { segment, section: bytes.subarray(offset, offset + length) };
  }
}
