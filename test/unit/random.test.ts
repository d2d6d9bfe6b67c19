import { describe, expect, it } from "vitest";
import { dropoutMaskAt, permutation, randomStream, threefry2x32 } from "../../shared/random.ts";

describe("threefry2x32", () => {
  // kat_vectors of Random123 1.14: "threefry2x32 20", counter, key, result.
  it.each([
    [
      [0, 0],
      [0, 0],
      [0x6b200159, 0x99ba4efe],
    ],
    [
      [0xffffffff, 0xffffffff],
      [0xffffffff, 0xffffffff],
      [0x1cb996fc, 0xbb002be7],
    ],
    [
      [0x243f6a88, 0x85a308d3],
      [0x13198a2e, 0x03707344],
      [0xc4923a9c, 0x483df7a0],
    ],
  ] as const)("encrypts %j under %j to %j", (counter, key, expected) => {
    expect(threefry2x32(key, counter)).toEqual(expected);
  });
});

describe("randomStream", () => {
  it("gives both words of each counter in turn, beyond 32-bit indices too", () => {
    const { key, uint32 } = randomStream(7, "probe");
    for (const counter of [0, 1, 5, 2 ** 32 - 1, 2 ** 32, 2 ** 51 + 3]) {
      const words = threefry2x32(key, [counter >>> 0, Math.floor(counter / 2 ** 32)]);
      expect([uint32(2 * counter), uint32(2 * counter + 1)]).toEqual(words);
    }
  });

  it("has the values it always had: saved runs depend on them", () => {
    expect(randomStream(1, "initialise").uint32(0)).toBe(3_551_563_625);
    expect(randomStream(2 ** 40 + 1, "dropout", 3).uint32(12_345)).toBe(1_163_132_741);
    expect(randomStream(1, "initialise").normal(1)).toBe(-0.28079361031333794);
  });

  it("differs by seed, by the seed's high word, by purpose and by step", () => {
    const streams = [
      randomStream(1, "dropout"),
      randomStream(2, "dropout"),
      randomStream(2 ** 32 + 1, "dropout"),
      randomStream(1, "split"),
      randomStream(1, "dropout", 1),
    ];
    expect(new Set(streams.map((stream) => stream.uint32(0))).size).toBe(streams.length);
  });

  it("is uniform on [0, 1)", () => {
    const { uniform } = randomStream(3, "initialise");
    const bins = Array.from({ length: 16 }, () => 0);
    const count = 64_000;
    for (let index = 0; index < count; index++) {
      const bin = Math.floor(uniform(index) * 16);
      bins[bin] = bins[bin]! + 1;
    }
    expect(bins).toHaveLength(16);
    // Chi-squared with 15 degrees of freedom: above 37.7 once in a thousand seeds, and the seed is fixed.
    const expected = count / 16;
    expect(bins.reduce((sum, bin) => sum + (bin - expected) ** 2 / expected, 0)).toBeLessThan(37.7);
  });

  it("has the moments and quantiles of a standard normal", () => {
    const { normal } = randomStream(4, "initialise");
    const values = Float64Array.from({ length: 200_000 }, (_, index) => normal(index)).sort();
    const moment = (order: number): number => values.reduce((sum, value) => sum + value ** order, 0) / values.length;
    // Four standard errors: the variance of z^k is E z^2k − (E z^k)².
    const within = (order: number, expected: number, variance: number): void => {
      expect(Math.abs(moment(order) - expected)).toBeLessThan(4 * Math.sqrt(variance / values.length));
    };
    within(1, 0, 1);
    within(2, 1, 2);
    within(3, 0, 15);
    within(4, 3, 96);
  });

  it("maps each uniform through the normal distribution's inverse", () => {
    const { normal, uint32 } = randomStream(5, "initialise");
    for (let index = 0; index < 2000; index++) {
      const probability = (uint32(index) + 0.5) / 2 ** 32;
      const z = normal(index);
      expect(Math.abs(normalDistribution(z) - probability)).toBeLessThan(
        3e-7 * Math.min(probability, 1 - probability) * (1 + z * z),
      );
    }
  });

  it("refuses a seed, step or index that is no such integer", () => {
    expect(() => randomStream(-1, "split")).toThrow("the seed must be");
    expect(() => randomStream(1.5, "split")).toThrow("not 1.5");
    expect(() => randomStream(1, "split", 2 ** 32)).toThrow("not 4294967296");
    expect(() => randomStream(1, "split").uint32(-1)).toThrow("not -1");
  });
});

describe("dropoutMaskAt", () => {
  it("drops a share `rate` of the values and scales the others up", () => {
    const { key } = randomStream(6, "dropout");
    const values = Array.from({ length: 10_000 }, (_, index) => dropoutMaskAt(key, index, 0.3));
    expect(new Set(values)).toEqual(new Set([0, Math.fround(1 / 0.7)]));
    const dropped = values.filter((value) => value === 0).length;
    expect(Math.abs(dropped - 3000)).toBeLessThan(4 * Math.sqrt(2100));
  });

  it("drops nothing at rate 0 and refuses a rate outside [0, 1)", () => {
    const { key } = randomStream(6, "dropout");
    for (let index = 0; index < 100; index++) expect(dropoutMaskAt(key, index, 0)).toBe(1);
    for (const rate of [1, -0.1, Number.NaN]) expect(() => dropoutMaskAt(key, 0, rate)).toThrow(`not ${rate}`);
  });
});

describe("permutation", () => {
  const table = (seed: number, epoch: number, length: number): number[] =>
    Array.from({ length }, (_, index) => permutation(seed, epoch, length)(index));

  it.each([1, 2, 3, 4, 5, 15, 16, 17, 99, 1000, 1024, 60_000])("is a bijection of 0 … %i − 1", (length) => {
    const at = permutation(1, 2, length);
    const hit = new Uint8Array(length);
    for (let index = 0; index < length; index++) hit[at(index)] = 1;
    expect(hit.every((once) => once === 1)).toBe(true);
  });

  it("stays in range for lengths beyond 32 bits", () => {
    const length = 2 ** 40 + 1;
    const at = permutation(1, 0, length);
    const values = [0, 1, 2 ** 33, length - 1].map(at);
    expect(new Set(values).size).toBe(4);
    for (const value of values) expect(Number.isSafeInteger(value) && value >= 0 && value < length).toBe(true);
  });

  it("depends on seed and epoch and on nothing else", () => {
    expect(table(1, 0, 1000)).toEqual(table(1, 0, 1000));
    expect(table(1, 0, 1000)).not.toEqual(table(1, 1, 1000));
    expect(table(1, 0, 1000)).not.toEqual(table(2, 0, 1000));
    expect(table(1, 0, 8)).toEqual([0, 5, 7, 6, 4, 3, 2, 1]);
  });

  it("gives each of the six orders of three equally often", () => {
    const counts = new Map<string, number>();
    for (let seed = 0; seed < 6000; seed++) {
      const order = table(seed, 0, 3).join();
      counts.set(order, (counts.get(order) ?? 0) + 1);
    }
    expect(counts.size).toBe(6);
    for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(4 * Math.sqrt(833));
  });

  it("leaves as many indices in place and in sequence as a random order: about one each", () => {
    let inPlace = 0;
    let inSequence = 0;
    for (let epoch = 0; epoch < 100; epoch++) {
      const order = table(9, epoch, 500);
      inPlace += order.filter((value, index) => value === index).length;
      inSequence += order.filter((value, index) => value + 1 === order[index + 1]).length;
    }
    // Both are near Poisson with mean 100.
    expect(Math.abs(inPlace - 100)).toBeLessThan(40);
    expect(Math.abs(inSequence - 100)).toBeLessThan(40);
  });

  it("refuses an index outside", () => {
    const at = permutation(1, 0, 10);
    for (const index of [-1, 10, 0.5]) expect(() => at(index)).toThrow(`index ${index} is outside a permutation of 10`);
    expect(() => permutation(1, 0, 0)(0)).toThrow("outside a permutation of 0");
  });
});

/** Φ(z) by its series around 0 or its continued fraction in the tail, accurate to about 1e-12 relative. */
function normalDistribution(z: number): number {
  const density = Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI);
  if (Math.abs(z) < 3) {
    let term = z;
    let sum = z;
    for (let odd = 3; odd < 121; odd += 2) sum += term *= (z * z) / odd;
    return 0.5 + density * sum;
  }
  let fraction = Math.abs(z);
  for (let level = 200; level >= 1; level--) fraction = Math.abs(z) + level / fraction;
  return z < 0 ? density / fraction : 1 - density / fraction;
}
