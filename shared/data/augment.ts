/**
 * Augmentations of images: each draws from (seed, epoch, sample) alone, so that a sample is changed in the same way wherever it is
 * computed. Shift, flip, crop and rotation become one map from places in the new image to places in the old one, so that pixels are
 * interpolated at most once; what comes in from outside is zero.
 */
import { cosineOfHalfTurns } from "../elementary.ts";
import { LockstepError } from "../errors.ts";
import { randomStream, type RandomStream } from "../random.ts";
import { product } from "../shape.ts";

export type AugmentSpec =
  /** By up to so many whole pixels in both directions, each drawn by itself. */
  | { readonly kind: "shift"; readonly pixels: number }
  /** Left to right, every other image. */
  | { readonly kind: "flip" }
  /** A window anywhere in the image whose sides are a share of it, from `least` to 1, scaled up to the whole. */
  | { readonly kind: "crop"; readonly least: number }
  /** About the centre, by up to so many degrees in both directions. */
  | { readonly kind: "rotate"; readonly degrees: number }
  /** A square of so many pixels a side becomes zero; its centre is anywhere in the image, so that part of it may be outside. */
  | { readonly kind: "cutout"; readonly size: number };

/** Random values that one sample may draw. */
const DRAWS = 64;

/** old x = a·x + b·y + c, old y = d·x + e·y + f, from the image's centre. */
type Map = readonly [a: number, b: number, c: number, d: number, e: number, f: number];

const identity: Map = [1, 0, 0, 0, 1, 0];

/** First `inner`, then `outer`: what `inner` makes of a place is given to `outer`. */
const after = ([a, b, c, d, e, f]: Map, [g, h, i, j, k, l]: Map): Map => [
  a * g + b * j,
  a * h + b * k,
  a * i + b * l + c,
  d * g + e * j,
  d * h + e * k,
  d * i + e * l + f,
];

/** Height, width and channels of samples of this shape. Throws SHAPE_MISMATCH where they are no images. */
export function imageOf(shape: readonly number[]): { channels: number; height: number; width: number } {
  const [height, width] = shape.slice(-2);
  if (height !== undefined && width !== undefined && (shape.length === 2 || shape.length === 3))
    return { channels: shape.length === 3 ? shape[0]! : 1, height, width };
  throw new LockstepError(
    "SHAPE_MISMATCH",
    `augmentations are for images, samples of this data are [${shape.join(", ")}]`,
    "Leave out augment, or give images: [height, width] or [channels, height, width].",
  );
}

/** Changes the samples of one epoch, in place; see `AugmentSpec`. */
export class Augmenter {
  readonly #specs: readonly AugmentSpec[];
  readonly #seed: number;
  readonly #image: { channels: number; height: number; width: number };
  readonly #copy: Float32Array;
  #epoch: { readonly number: number; readonly stream: RandomStream } | undefined;

  /** Throws SHAPE_MISMATCH where samples are no images. */
  constructor(specs: readonly AugmentSpec[], seed: number, sampleShape: readonly number[]) {
    this.#specs = specs;
    this.#seed = seed;
    this.#image = imageOf(sampleShape);
    this.#copy = new Float32Array(product(sampleShape));
  }

  /** @param values the features of the sample with this number in the data set, row by row, channel by channel */
  apply(values: Float32Array, epoch: number, sample: number): void {
    if (this.#epoch?.number !== epoch)
      this.#epoch = { number: epoch, stream: randomStream(this.#seed, "augment", epoch) };
    const { stream } = this.#epoch;
    let drawn = 0;
    /** Uniform on [0, 1). */
    const draw = (): number => stream.uniform(sample * DRAWS + drawn++);
    let map = identity;
    const holes: { readonly x: number; readonly y: number; readonly size: number }[] = [];
    const { height, width } = this.#image;
    for (const spec of this.#specs) {
      if (spec.kind === "cutout")
        holes.push({ x: Math.floor(draw() * width), y: Math.floor(draw() * height), size: spec.size });
      else map = after(map, mapOf(spec, draw, height, width));
    }
    if (map !== identity) this.#resample(values, map);
    for (const hole of holes) this.#cut(values, hole);
  }

  #resample(values: Float32Array, [a, b, c, d, e, f]: Map): void {
    const { channels, height, width } = this.#image;
    const old = this.#copy;
    old.set(values);
    const [middleX, middleY] = [(width - 1) / 2, (height - 1) / 2];
    const pixels = height * width;
    const at = (channel: number, x: number, y: number): number =>
      x < 0 || y < 0 || x >= width || y >= height ? 0 : old[channel * pixels + y * width + x]!;
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) {
        const oldX = a * (x - middleX) + b * (y - middleY) + c + middleX;
        const oldY = d * (x - middleX) + e * (y - middleY) + f + middleY;
        const [left, top] = [Math.floor(oldX), Math.floor(oldY)];
        const [right, low] = [oldX - left, oldY - top];
        for (let channel = 0; channel < channels; channel++) {
          const upper = at(channel, left, top) * (1 - right) + (right === 0 ? 0 : at(channel, left + 1, top) * right);
          const lower =
            low === 0
              ? 0
              : at(channel, left, top + 1) * (1 - right) + (right === 0 ? 0 : at(channel, left + 1, top + 1) * right);
          values[channel * pixels + y * width + x] = upper * (1 - low) + lower * low;
        }
      }
  }

  #cut(values: Float32Array, { x, y, size }: { readonly x: number; readonly y: number; readonly size: number }): void {
    const { channels, height, width } = this.#image;
    const [left, top] = [x - Math.floor(size / 2), y - Math.floor(size / 2)];
    for (let channel = 0; channel < channels; channel++)
      for (let row = Math.max(0, top); row < Math.min(height, top + size); row++) {
        const start = channel * height * width + row * width;
        values.fill(0, start + Math.max(0, left), start + Math.max(0, Math.min(width, left + size)));
      }
  }
}

/** How one augmentation maps places of the new image to the old one. */
function mapOf(spec: Exclude<AugmentSpec, { kind: "cutout" }>, draw: () => number, height: number, width: number): Map {
  switch (spec.kind) {
    case "shift": {
      const pixels = (): number => Math.floor(draw() * (2 * spec.pixels + 1)) - spec.pixels;
      return [1, 0, pixels(), 0, 1, pixels()];
    }
    case "flip":
      return draw() < 0.5 ? [-1, 0, 0, 0, 1, 0] : identity;
    case "crop": {
      const share = spec.least + (1 - spec.least) * draw();
      const place = (side: number): number => (draw() - 0.5) * (1 - share) * side;
      return [share, 0, place(width), 0, share, place(height)];
    }
    case "rotate": {
      const halfTurns = ((2 * draw() - 1) * spec.degrees) / 180;
      const cosine = cosineOfHalfTurns(Math.abs(halfTurns));
      const sine = Math.sign(halfTurns) * cosineOfHalfTurns(Math.abs(0.5 - Math.abs(halfTurns)));
      return [cosine, -sine, 0, sine, cosine, 0];
    }
    default:
      return spec satisfies never;
  }
}
