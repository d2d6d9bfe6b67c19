/** Augmentations: each against the pixels it should give, and all of them as functions of (seed, epoch, sample). */
import { describe, expect, it } from "vitest";
import { Augmenter, type AugmentSpec } from "../../../shared/data/augment.ts";

const [height, width] = [6, 8];
/** A picture whose pixels are all different, two channels. */
const picture = Float32Array.from({ length: 2 * height * width }, (_, at) => at + 1);
const pixelOf = (values: Float32Array, channel: number, x: number, y: number): number =>
  x < 0 || y < 0 || x >= width || y >= height ? 0 : values[(channel * height + y) * width + x]!;

function changed(specs: readonly AugmentSpec[], sample = 0, epoch = 0, seed = 1): Float32Array {
  const values = picture.slice();
  new Augmenter(specs, seed, [2, height, width]).apply(values, epoch, sample);
  return values;
}

/** The picture with each pixel from elsewhere in it. */
const from = (place: (x: number, y: number) => readonly [number, number]): Float32Array =>
  Float32Array.from(picture, (_, at) => {
    const [x, y] = [at % width, Math.floor(at / width) % height];
    return pixelOf(picture, Math.floor(at / (width * height)), ...place(x, y));
  });

const samples = Array.from({ length: 200 }, (_, sample) => sample);

it("shift moves by whole pixels in every direction up to the limit, and zeros come in", () => {
  const found = samples.map((sample) => String(changed([{ kind: "shift", pixels: 1 }], sample)));
  const moves = [-1, 0, 1].flatMap((dx) => [-1, 0, 1].map((dy) => String(from((x, y) => [x + dx, y + dy]))));
  expect(new Set(found)).toEqual(new Set(moves));
});

it("flip turns about half of the images left to right", () => {
  const flipped = String(from((x, y) => [width - 1 - x, y]));
  const found = samples.map((sample) => String(changed([{ kind: "flip" }], sample)));
  expect(new Set(found)).toEqual(new Set([flipped, String(picture)]));
  expect(found.filter((each) => each === flipped).length).toBeGreaterThan(70);
  expect(found.filter((each) => each === flipped).length).toBeLessThan(130);
});

it("rotate turns about the centre, by interpolation", () => {
  const spec = { kind: "rotate", degrees: 20 } as const;
  const results = samples.map((sample) => changed([spec], sample));
  for (const values of results) {
    // Two pixels beside the centre, one on each side: their mean stays where the picture is a plane.
    const middle = (pixelOf(values, 0, 3, 2) + pixelOf(values, 0, 4, 3)) / 2;
    expect(middle).toBeCloseTo((pixelOf(picture, 0, 3, 2) + pixelOf(picture, 0, 4, 3)) / 2, 3);
  }
  // On the plane x + 8y + 1 the angle can be read off the slope: x' = cos, y' = 8 cos at no turn.
  const slopes = results.map((values) => pixelOf(values, 0, 4, 3) - pixelOf(values, 0, 3, 3));
  const angles = slopes.map((slope) => {
    // slope = cos θ + 8 sin θ
    const length = Math.hypot(1, 8);
    return (Math.asin(slope / length) - Math.atan2(1, 8)) * (180 / Math.PI);
  });
  for (const angle of angles) expect(Math.abs(angle)).toBeLessThan(20.001);
  expect(Math.max(...angles)).toBeGreaterThan(15);
  expect(Math.min(...angles)).toBeLessThan(-15);
});

it("crop scales a window up: the slope of a plane shrinks by the window's share", () => {
  const shares = samples.map((sample) => {
    const values = changed([{ kind: "crop", least: 0.5 }], sample);
    expect(values.every((value) => value > 0)).toBe(true);
    return pixelOf(values, 0, 4, 3) - pixelOf(values, 0, 3, 3);
  });
  expect(Math.min(...shares)).toBeGreaterThan(0.499);
  expect(Math.max(...shares)).toBeLessThan(1.001);
  expect(Math.min(...shares)).toBeLessThan(0.55);
});

it("cutout clears a square in all channels, which may reach beyond the border", () => {
  const sizes = samples.map((sample) => {
    const values = changed([{ kind: "cutout", size: 3 }], sample);
    const cleared = (channel: number): number[] =>
      Array.from({ length: height * width }, (_, at) => at).filter((at) => values[channel * height * width + at] === 0);
    expect(cleared(0)).toEqual(cleared(1));
    values.forEach((value, at) => expect([0, picture[at]]).toContain(value));
    return cleared(0).length;
  });
  expect(Math.max(...sizes)).toBe(9);
  expect(new Set(sizes)).toEqual(new Set([4, 6, 9]));
});

describe("a sample's change", () => {
  const specs: AugmentSpec[] = [
    { kind: "shift", pixels: 2 },
    { kind: "rotate", degrees: 30 },
    { kind: "flip" },
    { kind: "cutout", size: 2 },
  ];

  it("depends on seed, epoch and sample and nothing else", () => {
    const first = changed(specs, 7, 3, 5);
    const augmenter = new Augmenter(specs, 5, [2, height, width]);
    const then = (epoch: number, sample: number): Float32Array => {
      const values = picture.slice();
      augmenter.apply(values, epoch, sample);
      return values;
    };
    expect(then(0, 1)).not.toEqual(first);
    expect(then(3, 8)).not.toEqual(first);
    expect(then(3, 7)).toEqual(first);
    expect(changed(specs, 7, 3, 6)).not.toEqual(first);
  });

  it("has nothing to do with that of the next sample", () => {
    const moves = samples.map((sample) => {
      const values = changed([{ kind: "shift", pixels: 1 }], sample);
      // The picture is the plane 1 + x + 8y.
      const moved = pixelOf(values, 0, 3, 3) - pixelOf(picture, 0, 3, 3);
      const down = Math.round(moved / 8);
      return { right: moved - 8 * down, down };
    });
    const alike = moves.slice(1).filter(({ right }, index) => right === moves[index]!.down);
    // A third of them is by chance.
    expect(alike.length).toBeGreaterThan(40);
    expect(alike.length).toBeLessThan(100);
  });

  it("is made in the order that is listed: what was cropped is shifted by whole pixels", () => {
    const crop = { kind: "crop", least: 0.5 } as const;
    const moves = [-1, 0, 1].flatMap((dx) => [-1, 0, 1].map((dy) => [dx, dy] as const));
    const places = [1, 2, 3, 4].flatMap((y) => [1, 2, 3, 4, 5, 6].map((x) => [x, y] as const));
    const found = samples.map((sample) => {
      const cropped = changed([crop], sample);
      const both = changed([crop, { kind: "shift", pixels: 1 }], sample);
      return moves.findIndex(([dx, dy]) =>
        places.every(([x, y]) => Math.abs(pixelOf(both, 0, x, y) - pixelOf(cropped, 0, x + dx, y + dy)) < 1e-3),
      );
    });
    expect(new Set(found)).toEqual(new Set(moves.keys()));
  });

  it("is that of one interpolation: a shift of a flipped image keeps its pixels", () => {
    const values = changed([{ kind: "flip" }, { kind: "shift", pixels: 2 }], 11);
    expect([...values].every((value) => value === 0 || picture.includes(value))).toBe(true);
  });
});

describe("of several, each does what it does alone", () => {
  /** From the middle: the new image's pixel (x, y) is the old one's (a·x + b·y + c, d·x + e·y + f). */
  type Affine = readonly [a: number, b: number, c: number, d: number, e: number, f: number];
  const [side, middle] = [65, 32];

  /** Read off an image of which one channel is every pixel's x, and the other its y, from the middle. */
  function mapOf(specs: readonly AugmentSpec[], sample: number): Affine {
    const values = Float32Array.from({ length: 2 * side * side }, (_, at) => {
      const pixel = at % (side * side);
      return (at < side * side ? pixel % side : Math.floor(pixel / side)) - middle;
    });
    new Augmenter(specs, 1, [2, side, side]).apply(values, 0, sample);
    const at = (channel: number, x: number, y: number): number =>
      values[(channel * side + middle + y) * side + middle + x]!;
    const row = (channel: number): readonly [number, number, number] => {
      const start = at(channel, 0, 0);
      return [(at(channel, 4, 0) - start) / 4, (at(channel, 0, 4) - start) / 4, start];
    };
    return [...row(0), ...row(1)];
  }

  /** What is to be done first so that `after` makes both of it. */
  function between([a, b, c, d, e, f]: Affine, [g, h, i, j, k, l]: Affine): Affine {
    const size = a * e - b * d;
    const solve = (one: number, other: number): readonly [number, number] => [
      (e * one - b * other) / size,
      (a * other - d * one) / size,
    ];
    const [[p, s], [q, t], [r, u]] = [solve(g, j), solve(h, k), solve(i - c, l - f)];
    return [p, q, r, s, t, u];
  }

  /** How far a map is from any that the augmentation makes alone. */
  const strayOf: Record<Exclude<AugmentSpec["kind"], "cutout">, (map: Affine) => readonly number[]> = {
    shift: ([a, b, c, d, e, f]) => [a - 1, b, d, e - 1, c - Math.round(c), f - Math.round(f), beyond(2, c, f)],
    flip: ([a, b, c, d, e, f]) => [Math.abs(a) - 1, b, c, d, e - 1, f],
    crop: ([a, b, c, d, e, f]) => [a - e, b, d, beyond(0.05, a - 0.95), beyond(((1 - a) * side) / 2, c, f)],
    rotate: ([a, b, c, d, e, f]) => [a - e, b + d, Math.hypot(a, b) - 1, beyond(Math.sin(Math.PI / 9), b), c, f],
  };
  const beyond = (limit: number, ...values: readonly number[]): number =>
    Math.max(0, ...values.map((value) => Math.abs(value) - limit));
  const shift = { kind: "shift", pixels: 2 } as const;
  const [flip, crop, rotate] = [
    { kind: "flip" },
    { kind: "crop", least: 0.9 },
    { kind: "rotate", degrees: 20 },
  ] as const;

  it.each([
    [rotate, shift, crop, flip, rotate],
    [crop, rotate, rotate, shift],
    [flip, rotate, crop, shift],
  ])("$0.kind, $1.kind, $2.kind, …", (...specs) => {
    for (let sample = 0; sample < 20; sample++) {
      let before: Affine = [1, 0, 0, 0, 1, 0];
      for (const [place, spec] of specs.entries()) {
        const map = mapOf(specs.slice(0, place + 1), sample);
        const strays = strayOf[spec.kind](between(before, map));
        expect(Math.max(...strays.map(Math.abs)), `${spec.kind} of sample ${sample}`).toBeLessThan(1e-3);
        before = map;
      }
    }
  });
});

it("an image without channels is one of a single channel", () => {
  const specs: AugmentSpec[] = [
    { kind: "shift", pixels: 2 },
    { kind: "cutout", size: 3 },
  ];
  const [plain, channel] = [picture.slice(0, height * width), picture.slice(0, height * width)];
  new Augmenter(specs, 1, [height, width]).apply(plain, 0, 3);
  new Augmenter(specs, 1, [1, height, width]).apply(channel, 0, 3);
  expect(plain).toEqual(channel);
  expect(plain).not.toEqual(picture.slice(0, height * width));
});

it("is for images alone", () => {
  expect(() => new Augmenter([{ kind: "flip" }], 1, [2, 1, 6, 8])).toThrow("samples of this data are [2, 1, 6, 8]");
  expect(() => new Augmenter([{ kind: "flip" }], 1, [784])).toThrow(
    "augmentations are for images, samples of this data are [784]",
  );
});
