/**
 * The records of TensorBoard's event files: each an Event message (tensorflow/core/util/event.proto) in the frame of TFRecord
 * (tensorflow/core/lib/io/record_writer.h): its length, its bytes, and behind both their masked CRC32C.
 */
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";

/** A point of each curve named. */
export interface Scalars {
  readonly step: number;
  readonly values: Readonly<Record<string, number>>;
}

/** The first record of a file. `at` is in milliseconds since 1970, here and below. */
export const versionRecord = (at: number): Buffer =>
  framed(event(at, 0).tag(3, WireType.LengthDelimited).string("brain.Event:2"));

/** A run goes on: what older files of it say of `step` and of what follows does not hold any more. */
export const restartRecord = (at: number, step: number): Buffer =>
  framed(event(at, step).tag(7, WireType.LengthDelimited).fork().tag(1, WireType.Varint).int32(START).join());

export function scalarsRecord(at: number, { step, values }: Scalars): Buffer {
  const writer = event(at, step).tag(5, WireType.LengthDelimited).fork();
  for (const [name, value] of Object.entries(values)) {
    writer.tag(1, WireType.LengthDelimited).fork();
    writer.tag(1, WireType.LengthDelimited).string(name).tag(2, WireType.Bit32).float(value).join();
  }
  return framed(writer.join());
}

/** SessionLog.START */
const START = 1;

const event = (at: number, step: number): BinaryWriter =>
  new BinaryWriter()
    .tag(1, WireType.Bit64)
    .double(at / 1000)
    .tag(2, WireType.Varint)
    .int64(step);

function framed(writer: BinaryWriter): Buffer {
  const data = writer.finish();
  const record = Buffer.alloc(16 + data.length);
  record.writeBigUInt64LE(BigInt(data.length), 0);
  record.writeUInt32LE(masked(crc32c(record.subarray(0, 8))), 8);
  record.set(data, 12);
  record.writeUInt32LE(masked(crc32c(data)), 12 + data.length);
  return record;
}

/** So that the checksum of bytes that hold their own checksum is no constant. */
const masked = (crc: number): number => (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;

/** Castagnoli's polynomial, reflected. */
const POLYNOMIAL = 0x82f63b78;
const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let rest = byte;
  for (let bit = 0; bit < 8; bit++) rest = rest & 1 ? (rest >>> 1) ^ POLYNOMIAL : rest >>> 1;
  return rest;
});

/** CRC32C (RFC 3720, appendix B.4), which is not the CRC32 of zlib. */
export function crc32c(bytes: Uint8Array): number {
  let rest = 0xffffffff;
  for (const byte of bytes) rest = table[(rest ^ byte) & 0xff]! ^ (rest >>> 8);
  return (rest ^ 0xffffffff) >>> 0;
}
