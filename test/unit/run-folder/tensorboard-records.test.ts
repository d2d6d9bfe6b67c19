/** The frame of TensorBoard's records; that TensorBoard reads what is in them is shown in test/process/tensorboard.test.ts. */
import { expect, it } from "vitest";
import { crc32c, versionRecord } from "../../../coordinator/run-folder/tensorboard-records.ts";

it.each([
  ["32 zeros", Buffer.alloc(32), 0x8a9136aa],
  ["32 bytes of ones", Buffer.alloc(32, 0xff), 0x62a8ab43],
  ["0 to 31", Buffer.from(Array.from({ length: 32 }, (_, index) => index)), 0x46dd794e],
])("CRC32C of %s is RFC 3720's", (_what, bytes, expected) => {
  expect(crc32c(bytes)).toBe(expected);
});

it("the first record of a file is the one that TensorFlow writes", () => {
  // At second 1: length 24, its checksum, wall_time, step, file_version, the checksum.
  const record = versionRecord(1_000).toString("latin1");
  expect(record.slice(0, 8)).toBe("\x1a\0\0\0\0\0\0\0");
  expect(record.slice(12, -4)).toBe("\x09\0\0\0\0\0\0\xf0\x3f\x10\0\x1a\x0dbrain.Event:2");
});
