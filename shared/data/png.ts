/**
 * PNG images, pixel by pixel, and as bytes, channel by channel, where what is transparent is black: by opacity, by the palette or as
 * the one colour that is.
 */
import { convertIndexedToRgb, decode, type DecodedPng } from "fast-png";
import { invalidFile } from "./files.ts";
import { boundedPng } from "./png-bounds.ts";

/** An image of 1 to 4 channels, of 2 and of 4 the last one its opacity. */
export type Png = Pick<DecodedPng, "width" | "height" | "depth" | "channels" | "data" | "transparency">;

/** Throws DATA_INVALID; `path` is what it calls the image. */
export function decodePng(path: string, bytes: Uint8Array): Png {
  if (isPackedInterlaced(bytes))
    throw invalidFile(
      path,
      "the PNG is interlaced and has less than 8 bits a channel, which is not read",
      "Save it without interlacing.",
    );
  const bounded = boundedPng(path, bytes);
  try {
    const png = decode(bounded, { checkCrc: true });
    const { palette, channels, width, height } = png;
    // An image in colour may have a palette too, as a suggestion.
    if (palette === undefined || channels !== 1) return png;
    return { width, height, depth: 8, channels: palette[0]!.length, data: convertIndexedToRgb(png) };
  } catch (cause) {
    throw invalidFile(path, `no readable PNG: ${String(cause)}`, "Save it as PNG again.");
  }
}

/** What the decoder takes for filters it does not know, or for other pixels. The first chunk, IHDR, says it. */
const isPackedInterlaced = (bytes: Uint8Array): boolean =>
  Buffer.from(bytes.subarray(12, 16)).toString("latin1") === "IHDR" && bytes[24]! < 8 && bytes[28] === 1;

export const isGrey = ({ channels }: Png): boolean => channels < 3;

/** What is at a pixel of an image, numbered row by row: values of 0 to 255, and an opacity of 0 to 1. */
interface Pixels {
  readonly colourAt: (pixel: number, channel: number) => number;
  /** Luma by ITU-R BT.601. */
  readonly greyAt: (pixel: number) => number;
  readonly opacityAt: (pixel: number) => number;
}

export function pixelsIn({ width, depth, channels, data, transparency }: Png): Pixels {
  const rowBytes = Math.ceil((width * depth) / 8);
  const most = 2 ** depth - 1;
  const clear = transparency?.map((value) => value & most);
  /** A value as it is stored; less than 8 bits are packed into bytes row by row. */
  const storedAt = (pixel: number, channel: number): number => {
    if (depth >= 8) return data[pixel * channels + channel]!;
    const bit = (pixel % width) * depth;
    const byte = data[Math.floor(pixel / width) * rowBytes + (bit >> 3)]!;
    return (byte >> (8 - depth - (bit & 7))) & most;
  };
  const valueAt = (pixel: number, channel: number): number => (storedAt(pixel, channel) * 255) / most;
  return {
    colourAt: (pixel, channel) => valueAt(pixel, channels < 3 ? 0 : channel),
    greyAt: (pixel) =>
      channels < 3
        ? valueAt(pixel, 0)
        : 0.299 * valueAt(pixel, 0) + 0.587 * valueAt(pixel, 1) + 0.114 * valueAt(pixel, 2),
    opacityAt(pixel) {
      if (clear !== undefined) return clear.every((value, channel) => storedAt(pixel, channel) === value) ? 0 : 1;
      return channels % 2 === 0 ? valueAt(pixel, channels - 1) / 255 : 1;
    },
  };
}

/** Bytes, channel by channel, in grey or in colour. */
export function bytesOfPixels(png: Png, wanted: 1 | 3): Uint8Array {
  const { colourAt, greyAt, opacityAt } = pixelsIn(png);
  const pixels = png.width * png.height;
  return Uint8Array.from({ length: wanted * pixels }, (_, at) => {
    const pixel = at % pixels;
    const value = wanted === 1 ? greyAt(pixel) : colourAt(pixel, Math.floor(at / pixels));
    return Math.round(opacityAt(pixel) * value);
  });
}
