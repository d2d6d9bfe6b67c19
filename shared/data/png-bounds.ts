/**
 * How much a PNG may hold, found before it is decoded: a small file can unpack to more than there is memory. A file is a signature and
 * chunks: length, type, data, CRC-32 (RFC 2083).
 */
import { inflateSync } from "node:zlib";
import { errnoOf } from "../errno.ts";
import { invalidFile } from "./files.ts";

const MOST_PIXELS = 2 ** 27;
const SIGNATURE_BYTES = 8;
/** Length, type and CRC-32. */
const AROUND_DATA = 12;
const CHANNELS: Readonly<Record<number, number>> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };
/** What pixels are made from. The others describe the image, and a profile may unpack to any size. */
const needed = ["IHDR", "PLTE", "tRNS", "IDAT", "IEND"];

/** The image without what only describes it. Throws DATA_INVALID where there is too much of it; other faults are for the decoder to find. */
export function boundedPng(path: string, bytes: Uint8Array): Uint8Array {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const kept = [file.subarray(0, SIGNATURE_BYTES)];
  const pixelData: Buffer[] = [];
  let at = SIGNATURE_BYTES;
  while (at + AROUND_DATA <= file.length) {
    const end = at + AROUND_DATA + file.readUInt32BE(at);
    if (end > file.length) break;
    const type = file.toString("latin1", at + 4, at + 8);
    if (needed.includes(type)) kept.push(file.subarray(at, end));
    if (type === "IDAT") pixelData.push(file.subarray(at + 8, end - 4));
    at = end;
    if (type === "IEND") break;
  }
  if (pixelData.length > 0) checkSize(path, file, Buffer.concat(pixelData));
  return Buffer.concat([...kept, file.subarray(at)]);
}

function checkSize(path: string, file: Buffer, pixelData: Buffer): void {
  // The first chunk, IHDR, says it.
  const [width, height, depth, colour] = [file.readUInt32BE(16), file.readUInt32BE(20), file[24]!, file[25]!];
  if (width * height > MOST_PIXELS)
    throw invalidFile(
      path,
      `the image is ${width} × ${height}, and no more than ${MOST_PIXELS.toLocaleString("en-US")} pixels are read`,
      "Make it smaller.",
    );
  const row = 1 + Math.ceil((width * depth * (CHANNELS[colour] ?? 4)) / 8);
  // An interlaced image has up to twice as many rows, each with its filter and its end in a byte of its own.
  const most = 2 * height * (row + 1);
  try {
    inflateSync(pixelData, { maxOutputLength: most });
  } catch (cause) {
    if (errnoOf(cause) !== "ERR_BUFFER_TOO_LARGE") return;
    throw invalidFile(
      path,
      `no readable PNG: its data unpacks to more than its ${width} × ${height} pixels take`,
      "Save it as PNG again.",
    );
  }
}
