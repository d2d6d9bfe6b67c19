/**
 * A picture of a digit as a sample: grey, light on dark, height × width, 0..1, as the images of MNIST. A PNG of an MNIST
 * image becomes that image's own floats.
 */

import { LockstepError } from "../errors.ts";
import { decodePng, pixelsIn, type Png } from "./png.ts";

/** A picture in grey, row by row: 0 is black, 1 is white. */
interface GreyImage {
  readonly width: number;
  readonly height: number;
  readonly values: Float32Array;
}

/**
 * The PNG in `bytes` as float32 of `sampleShape`, which is [height, width], [1, height, width] or [n²]. `path` is what errors
 * call it. Throws DATA_INVALID or SHAPE_MISMATCH.
 */
export function imageSample(path: string, bytes: Uint8Array, sampleShape: readonly number[]): Float32Array {
  const [height, width] = imageSize(path, sampleShape);
  return fit(lightOnDark(greyOf(decodePng(path, bytes))), height, width);
}

/** Height and width in pixels of an image for a model whose input has this shape. */
function imageSize(path: string, shape: readonly number[]): [height: number, width: number] {
  const [height = 0, width] = shape.length === 3 && shape[0] === 1 ? shape.slice(1) : shape;
  const side = Math.sqrt(height);
  if (shape.length === 1 && Number.isInteger(side)) return [side, side];
  if (width !== undefined && (shape.length === 2 || shape[0] === 1)) return [height, width];
  throw new LockstepError(
    "SHAPE_MISMATCH",
    `${path} is an image, the model's input [${shape.join(", ")}] is none`,
    "Give a row of values in a .csv, .txt or .json file.",
  );
}

/** Transparent parts take the colour that contrasts with what is visible. */
function greyOf(png: Png): GreyImage {
  const { width, height } = png;
  const { greyAt, opacityAt } = pixelsIn(png);
  let visible = 0;
  let light = 0;
  for (let pixel = 0; pixel < width * height; pixel++) {
    visible += opacityAt(pixel);
    light += (opacityAt(pixel) * greyAt(pixel)) / 255;
  }
  const backdrop = light / visible > 0.5 ? 0 : 1;
  const over = (pixel: number): number => (opacityAt(pixel) * greyAt(pixel)) / 255 + (1 - opacityAt(pixel)) * backdrop;
  return { width, height, values: Float32Array.from({ length: width * height }, (_, pixel) => over(pixel)) };
}

/** Inverts an image whose border is light: MNIST's digits are white on black. */
function lightOnDark(image: GreyImage): GreyImage {
  const { width, height, values } = image;
  let sum = 0;
  let count = 0;
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      if (y === 0 || x === 0 || y === height - 1 || x === width - 1) {
        sum += values[y * width + x]!;
        count++;
      }
  return sum / count > 0.5 ? { width, height, values: values.map((value) => 1 - value) } : image;
}

/** Scales an image to fit height × width, centred on black: each pixel is the mean over the area it covers. */
function fit(image: GreyImage, height: number, width: number): Float32Array {
  const scale = Math.max(image.width / width, image.height / height);
  const left = (image.width - width * scale) / 2;
  const top = (image.height - height * scale) / 2;
  return Float32Array.from({ length: height * width }, (_, pixel) => {
    const x = left + (pixel % width) * scale;
    const y = top + Math.floor(pixel / width) * scale;
    let sum = 0;
    for (let row = Math.max(0, Math.floor(y)); row < Math.min(image.height, y + scale); row++)
      for (let column = Math.max(0, Math.floor(x)); column < Math.min(image.width, x + scale); column++)
        sum += overlap(row, y, scale) * overlap(column, x, scale) * image.values[row * image.width + column]!;
    return sum / (scale * scale);
  });
}

/** How much of the unit interval from `cell` lies in the interval of `length` from `start`. */
const overlap = (cell: number, start: number, length: number): number =>
  Math.max(0, Math.min(cell + 1, start + length) - Math.max(cell, start));
