/**
 * Each kernel against a plain loop that rounds every operation to float32 with Math.fround, bit for bit: counts around
 * whole SIMD vectors, offsets that are multiples of 4 only, results over operands, and nothing written beside them.
 */
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { instantiateKernels } from "../../shared/kernels/index.ts";
import { Arena } from "../../shared/memory/arena.ts";
import { dropoutMaskAt, randomStream } from "../../shared/random.ts";

const round = Math.fround;
const counts = [0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 1000, 1003];
/** Bytes past a 64-byte boundary. */
const shifts = [0, 4, 12];
const guard = 8;
const longest = 1003 + 2 * guard + 4;

const arena = new Arena(6 * 4 * 1100);
const kernels = instantiateKernels(arena.memory);
const regions = [0, 1, 2, 3, 4, 5].map(() => arena.allocate(4 * longest));

/** A region's vector of `count` floats with guards before and behind it. */
function vectorAt(region: number, shift: number, count: number) {
  const offset = regions[region]! + 4 * guard + shift;
  const guarded = arena.floats(offset - 4 * guard, count + 2 * guard);
  return { offset, guarded, values: arena.floats(offset, count) };
}

/** One in each region. */
const threeAt = (shift: number, count: number) =>
  [vectorAt(0, shift, count), vectorAt(1, shift, count), vectorAt(2, shift, count)] as const;

type Vector = ReturnType<typeof vectorAt>;
/** One in each region there is. */
type Six = [Vector, Vector, Vector, Vector, Vector, Vector];

/** Floats of all magnitudes and both signs, zeros and subnormals among them. */
const stream = randomStream(11, "probe");
function sample(count: number, from: number): Float32Array {
  return Float32Array.from({ length: count }, (_, index) => {
    const normal = stream.normal(2 * (from + index));
    const kind = stream.uint32(2 * (from + index) + 1) % 10;
    if (kind === 0) return stream.uint32(index) % 2 === 0 ? 0 : -0;
    if (kind === 1) return normal * 2 ** -140;
    return kind === 2 ? normal * 1e12 : normal;
  });
}

const bits = (floats: Float32Array): number[] => [...new Uint32Array(Float32Array.from(floats).buffer)];

interface Elementwise {
  readonly run: (out: number, left: number, right: number, count: number) => void;
  readonly plain: (left: number, right: number) => number;
  /** What the kernel asks of its second operand. */
  readonly right?: (value: number) => number;
}

const elementwise: Record<string, Elementwise> = {
  add: { run: kernels.add, plain: (left, right) => round(left + right) },
  addFour: {
    run: (out, left, right, count) => kernels.addFour(out, left, right, right, right, count),
    plain: (left, right) => round(round(left + right) + round(right + right)),
  },
  clamp: {
    run: (out, left, _right, count) => kernels.clamp(out, left, 0.7, count),
    plain: (left) => Math.max(-round(0.7), Math.min(round(0.7), left)),
  },
  descend: {
    run: (out, left, right, count) => kernels.descend(out, left, right, 96.7, 0.05, count),
    plain: (left, right) => round(left - round(round(0.05) * round(right / round(96.7)))),
  },
  divide: {
    run: (out, left, _right, count) => kernels.divide(out, left, 96.7, count),
    plain: (left) => round(left / round(96.7)),
  },
  weightedSum: {
    run: (out, left, right, count) => kernels.weightedSum(out, left, right, 0.9, 1 - 0.9, count),
    plain: (left, right) => round(round(left * round(0.9)) + round(right * round(1 - 0.9))),
  },
  weightedSumOfSquares: {
    run: (out, left, right, count) => kernels.weightedSumOfSquares(out, left, right, 0.999, 1 - 0.999, count),
    plain: (left, right) => round(round(left * round(0.999)) + round(round(right * right) * round(1 - 0.999))),
  },
  divideByRoot: {
    run: (out, left, right, count) => kernels.divideByRoot(out, left, right, 1.7, 3.3, 1e-8, count),
    plain: (left, right) =>
      round(round(left * round(1.7)) / round(round(Math.sqrt(round(right * round(3.3)))) + round(1e-8))),
    right: Math.abs,
  },
};

describe.each(Object.entries(elementwise))("%s", (_name, { run, plain, right: prepare = (value) => value }) => {
  /**
   * The bits of the result and its guards, and those the plain loop gives, the result lying in region `outRegion`: 0 beside
   * the operands, 1 over the left one, 2 over the right one.
   */
  const outcome = (count: number, shift: number, outRegion: number) => {
    const left = vectorAt(1, shift, count);
    const right = vectorAt(2, 4, count);
    const out = outRegion === 0 ? vectorAt(0, shift, count) : [left, right][outRegion - 1]!;
    out.guarded.fill(77);
    left.values.set(sample(count, 0));
    right.values.set(sample(count, 5000).map(prepare));
    const expected = Float32Array.from(out.guarded);
    for (let index = 0; index < count; index++) {
      expected[guard + index] = plain(left.values[index]!, right.values[index]!);
    }
    run(out.offset, left.offset, right.offset, count);
    return { actual: bits(out.guarded), expected: bits(expected) };
  };

  it.each(counts)("has the plain loop's bits for %i floats, unaligned too", (count) => {
    for (const shift of shifts) {
      const { actual, expected } = outcome(count, shift, 0);
      expect(actual).toEqual(expected);
    }
  });

  it.each([1, 2])("may write over operand %i", (operand) => {
    for (const count of counts) {
      const { actual, expected } = outcome(count, 0, operand);
      expect(actual).toEqual(expected);
    }
  });
});

describe("allFinite", () => {
  it.each([1, 4, 7, 16, 19])("finds an infinity or NaN anywhere in %i floats and nothing beside them", (count) => {
    for (const shift of shifts) {
      const { offset, guarded, values } = vectorAt(0, shift, count);
      guarded.fill(Number.NaN);
      values.fill(round(3.4028234e38));
      expect(kernels.allFinite(offset, count)).toBe(true);
      for (let index = 0; index < count; index++) {
        for (const wrong of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
          values[index] = wrong;
          expect(kernels.allFinite(offset, count)).toBe(false);
        }
        values[index] = -0;
      }
    }
  });

  it("holds for no floats", () => expect(kernels.allFinite(regions[0]!, 0)).toBe(true));
});

describe.each([
  ["divide", (out: number, left: number, count: number) => kernels.divide(out, left, 1, count)],
  ["weightedSum", (out: number, left: number, count: number) => kernels.weightedSum(out, left, left, 1, 0, count)],
  ["descend", (out: number, left: number, count: number) => kernels.descend(out, left, left, 1, 0, count)],
  [
    "descendWithMomentum",
    (out: number, left: number, count: number) =>
      kernels.descendWithMomentum(out, regions[2]!, left, left, left, 1, 0, 0, count),
  ],
])("%s", (_, run) => {
  it.each([1, 4, 7, 16, 19])("says whether all of its %i results are finite, and of nothing beside them", (count) => {
    for (const shift of shifts) {
      const { offset, guarded, values } = vectorAt(0, shift, count);
      const out = vectorAt(1, shift, count);
      guarded.fill(Number.NaN);
      out.guarded.fill(Number.NaN);
      values.fill(round(3.4028234e38));
      expect(run(out.offset, offset, count)).toBe(true);
      for (let index = 0; index < count; index++) {
        for (const wrong of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
          values[index] = wrong;
          expect(run(out.offset, offset, count)).toBe(false);
        }
        values[index] = -0;
      }
    }
  });
});

it("weightedSum says so where finite floats give an infinity", () => {
  const { offset, values } = vectorAt(0, 0, 1);
  values[0] = 3e38;
  expect(kernels.weightedSum(vectorAt(1, 0, 1).offset, offset, offset, 1, 1, 1)).toBe(false);
});

it.each([
  ["an infinite gradient, whatever the rate", Number.POSITIVE_INFINITY, 0],
  ["parameters beyond the largest float", 3e38, 1],
])("descend and descendWithMomentum say so of %s", (_, gradient, rate) => {
  const [parameters, gradients, after] = threeAt(0, 5);
  for (const index of [0, 4]) {
    parameters.values.fill(-3e38);
    gradients.values.fill(0);
    gradients.values[index] = gradient;
    after.values.fill(0);
    const [at, traces] = [parameters.offset, after.offset];
    expect(kernels.descendWithMomentum(at, traces, at, traces, gradients.offset, 1, 0.9, rate, 5)).toBe(false);
    parameters.values.fill(-3e38);
    expect(kernels.descend(at, at, gradients.offset, 1, rate, 5)).toBe(false);
  }
});

it.each(counts)("descendWithMomentum has the bits of the operations one after the other for %i floats", (count) => {
  for (const shift of shifts) {
    const [parameters, before, gradient] = threeAt(shift, count);
    [parameters, before, gradient].forEach(({ values }, vector) => values.set(sample(count, 2000 * vector)));
    const traces = before.values.map((value, index) =>
      round(round(value * round(0.9)) + round(gradient.values[index]! / round(96.7))),
    );
    const expected = parameters.values.map((value, index) => round(value - round(round(0.05) * traces[index]!)));
    // Over what it reads, and with guards beside both.
    [parameters, before].forEach(({ guarded, values }) => {
      guarded.fill(77, 0, guard);
      guarded.fill(77, guard + values.length);
    });
    const [out, after] = [parameters.offset, before.offset];
    const gradients = bits(gradient.values);
    kernels.descendWithMomentum(out, after, out, after, gradient.offset, 96.7, 0.9, 0.05, count);
    expect(bits(gradient.values)).toEqual(gradients);
    expect(bits(parameters.values)).toEqual(bits(expected));
    expect(bits(before.values)).toEqual(bits(traces));
    for (const { guarded } of [parameters, before])
      expect(guarded.filter((value, index) => (index < guard || index >= guard + count) && value === 77)).toHaveLength(
        2 * guard,
      );
  }
});

describe("sumOfSquares", () => {
  it.each(counts)("adds %i squares in float64 in its documented order", (count) => {
    for (const shift of shifts) {
      const { offset, values } = vectorAt(0, shift, count);
      values.set(sample(count, 0));
      const lanes = [0, 0, 0, 0];
      const whole = count - (count % 4);
      for (let index = 0; index < whole; index++) lanes[index % 4] = lanes[index % 4]! + values[index]! ** 2;
      let expected = lanes[0]! + lanes[2]! + (lanes[1]! + lanes[3]!);
      for (const value of values.subarray(whole)) expected += value * value;
      expect(kernels.sumOfSquares(offset, count)).toBe(expected);
    }
  });
});

describe("bytesToUnits", () => {
  it.each(counts)("makes float32(byte / 255) of %i bytes, each value alike wherever it lies", (count) => {
    for (const shift of [0, 1, 5]) {
      const { offset, guarded } = vectorAt(0, 4 * shift, count);
      guarded.fill(7);
      const bytes = arena.bytes(regions[1]! + shift, count);
      bytes.forEach((_, index) => (bytes[index] = (index * 37 + 255) % 256));
      kernels.bytesToUnits(offset, regions[1]! + shift, count);
      expect([...guarded]).toEqual([
        ...Array<number>(guard).fill(7),
        ...Array.from(bytes, (byte) => round(byte / 255)),
        ...Array<number>(guard).fill(7),
      ]);
    }
  });
});

describe("dropoutMask", () => {
  const { key } = randomStream(2 ** 35 + 3, "dropout", 12);

  it.each([0, 1, 6, 2 ** 33 - 3, 2 ** 33 - 8, 2 ** 45 + 1])("equals dropoutMaskAt from index %i on", (first) => {
    for (const count of [0, 1, 2, 7, 8, 9, 33, 1003]) {
      for (const rate of [0, 0.1, 0.5, 0.999]) {
        const { offset, guarded, values } = vectorAt(0, 4, count);
        guarded.fill(77);
        kernels.dropoutMask(offset, count, key, first, rate);
        const expected = Float32Array.from({ length: count }, (_, index) => dropoutMaskAt(key, first + index, rate));
        expect(bits(values)).toEqual(bits(expected));
        expect(guarded.filter((value) => value === 77)).toHaveLength(2 * guard);
      }
    }
  });

  it("refuses a rate that keeps nothing", () => {
    expect(() => kernels.dropoutMask(regions[0]!, 1, key, 0, 1)).toThrow("not 1");
  });
});

describe("the kernels' module", () => {
  const folder = mkdtempSync(join(tmpdir(), "lockstep-kernels-"));
  afterAll(() => rmSync(folder, { recursive: true }));
  const shared = new URL("../../shared/", import.meta.url).pathname;
  for (const file of ["errors.ts", "elementary.ts", "random.ts", "kernels/index.ts"])
    cpSync(join(shared, file), join(folder, file));

  /** Instantiates the kernels from the copied sources, whose folder has no kernels.wasm, and prints the error. */
  const load = (): string => {
    const program = `
      const { instantiateKernels } = await import(${JSON.stringify(join(folder, "kernels/index.ts"))});
      const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
      try { instantiateKernels(memory); } catch (error) { console.log(error.code, error.message, error.hint); }`;
    return spawnSync(process.execPath, ["--input-type=module", "--eval", program], { encoding: "utf8" }).stdout;
  };

  it("says how to build it where it is missing", () => {
    expect(load()).toMatch(/^DISK_FAILED .*kernels\.wasm: ENOENT.*npm run build:kernels/);
  });

  it("says so where it was built from older sources", () => {
    writeFileSync(join(folder, "kernels/kernels.wasm"), Buffer.from("0061736d01000000", "hex"));
    expect(load()).toMatch(/^DISK_FAILED kernels\.wasm lacks add, .*dropoutMask .*npm run build:kernels/);
  });
});

describe("checksum", () => {
  const rotate = (word: number, by: number): number => (word << by) | (word >>> (32 - by));
  const mix = (hash: number, word: number): number => Math.imul(rotate(hash, 5) ^ word, 0x9e3779b1);

  /** What assembly/checksum.ts says, in plain arithmetic. */
  function plain(words: Int32Array): number {
    const sums = new Int32Array(16);
    const orders = new Int32Array(16);
    words.forEach((word, index) => {
      sums[index % 16]! += word;
      orders[index % 16]! += sums[index % 16]!;
    });
    return [...sums, ...orders].reduce(mix, words.length) >>> 0;
  }

  it("is that of the formula", () => {
    for (const count of [0, 16, 32, 1008]) {
      const { offset, values } = vectorAt(0, 0, count);
      values.set(sample(count, 3 * count));
      expect(kernels.checksum(offset, count)).toBe(plain(new Int32Array(values.buffer, offset, count)));
    }
  });

  it.each([0, 16, 32, 1008])("comes with sums of %i floats that are the same without", (count) => {
    const [out, left, right] = threeAt(0, count);
    left.values.set(sample(count, 1));
    right.values.set(sample(count, 3000));
    const [ofLeft, ofRight] = [kernels.checksum(left.offset, count), kernels.checksum(right.offset, count)];
    kernels.add(out.offset, left.offset, right.offset, count);
    const sum = bits(out.values);
    out.guarded.fill(77);
    expect(kernels.addChecked(out.offset, left.offset, right.offset, count)).toEqual([ofLeft, ofRight]);
    expect(bits(out.values)).toEqual(sum);
    expect(out.guarded.filter((value) => value === 77)).toHaveLength(2 * guard);

    const operands = [left.offset, right.offset, right.offset, left.offset] as const;
    kernels.addFour(out.offset, ...operands, count);
    const four = bits(out.values);
    const ofFour = kernels.checksum(out.offset, count);
    out.guarded.fill(77);
    expect(kernels.addFourChecked(out.offset, ...operands, count)).toBe(ofFour);
    expect(bits(out.values)).toEqual(four);
    expect(out.guarded.filter((value) => value === 77)).toHaveLength(2 * guard);

    // Over each operand.
    for (const over of [left, right]) {
      left.values.set(sample(count, 1));
      right.values.set(sample(count, 3000));
      expect(kernels.addChecked(over.offset, left.offset, right.offset, count)).toEqual([ofLeft, ofRight]);
      expect(bits(over.values)).toEqual(sum);
      left.values.set(sample(count, 1));
      right.values.set(sample(count, 3000));
      expect(kernels.addFourChecked(over.offset, ...operands, count)).toBe(ofFour);
      expect(bits(over.values)).toEqual(four);
    }
  });

  it.each([0, 16, 32, 1008])("comes with steps by a sum of %i floats that are the same without", (count) => {
    const [parameters, before, left, right, sum] = regions.map((_, region) => vectorAt(region, 0, count)) as Six;
    const operands = [parameters, before, left, right];
    const reset = (): void => operands.forEach(({ values }, place) => values.set(sample(count, 2000 * place)));
    reset();
    const checksums = [kernels.checksum(left.offset, count), kernels.checksum(right.offset, count)];
    kernels.add(sum.offset, left.offset, right.offset, count);
    const summed = [left.offset, right.offset, 96.7] as const;
    const at = parameters.offset;

    kernels.descend(at, at, sum.offset, 96.7, 0.05, count);
    const plainly = bits(parameters.values);
    reset();
    const isFinite = true;
    expect(kernels.descendBySum(at, at, ...summed, 0.05, count)).toEqual({ isFinite, checksums });
    expect(bits(parameters.values)).toEqual(plainly);

    reset();
    kernels.descendWithMomentum(at, before.offset, at, before.offset, sum.offset, 96.7, 0.9, 0.05, count);
    const both = [bits(parameters.values), bits(before.values)];
    reset();
    operands.forEach(({ guarded }) => guarded.fill(77, 0, guard).fill(77, guard + count));
    const taken = kernels.descendBySumWithMomentum(at, before.offset, at, before.offset, ...summed, 0.9, 0.05, count);
    expect(taken).toEqual({ isFinite, checksums });
    expect([bits(parameters.values), bits(before.values)]).toEqual(both);
    for (const { guarded } of operands) expect(guarded.filter((value) => value === 77)).toHaveLength(2 * guard);
  });

  it.each([0, 15, 16, 31])("comes with steps by a sum that say whether they are finite, of float %i", (index) => {
    const [parameters, before, left, right] = regions.map((_, region) => vectorAt(region, 0, 32)) as Six;
    const both = [left.offset, right.offset, 1] as const;
    const isFinite = (rate: number): boolean[] => {
      [parameters, before].forEach(({ values }) => values.fill(0));
      const [at, trace] = [parameters.offset, before.offset];
      parameters.values[index] = -3e38;
      const plainly = kernels.descendBySum(at, at, ...both, rate, 32);
      parameters.values[index] = -3e38;
      return [plainly, kernels.descendBySumWithMomentum(at, trace, at, trace, ...both, 0.9, rate, 32)].map(
        (step) => step.isFinite,
      );
    };
    left.values.fill(0);
    right.values.fill(0);
    expect(isFinite(1)).toEqual([true, true]);
    left.values[index] = 2e38;
    expect(isFinite(1)).toEqual([false, false]);
    for (const wrong of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      right.values[index] = wrong;
      expect(isFinite(0)).toEqual([false, false]);
    }
  });

  it("changes with any bit, and with the order of lines", () => {
    const count = 1008;
    const { offset, values } = vectorAt(0, 0, count);
    values.set(sample(count, 1));
    const right = kernels.checksum(offset, count);
    const words = new Int32Array(values.buffer, offset, count);
    for (let bit = 0; bit < 32; bit++) {
      for (const at of [0, 17, 500, 1007]) {
        words[at]! ^= 1 << bit;
        expect(kernels.checksum(offset, count)).not.toBe(right);
        words[at]! ^= 1 << bit;
      }
    }
    values.set([...values.subarray(16, 32), ...values.subarray(0, 16)]);
    expect(kernels.checksum(offset, count)).not.toBe(right);
  });
});
