/**
 * Counter-based randomness: every value is a pure function of (seed, purpose, step, index), so any process can compute
 * any value at any time and no generator state needs to travel or be saved.
 *
 * The generator is Threefry-2x32 with 20 rounds (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as
 * 1, 2, 3", SC 2011; the Random123 library). Only integer operations and IEEE +, −, ×, ÷ and sqrt are used: Math.log or
 * Math.cos may differ in the last bit between builds of Node.
 */
import { logarithm } from "./elementary.ts";

/** What a stream is for, with the number that separates it from the others. Numbers never change: runs depend on them. */
const purposes = {
  initialise: 1,
  permutation: 2,
  dropout: 3,
  probe: 4,
  split: 5,
  simulation: 6,
  audit: 7,
  augment: 8,
} as const;
export type Purpose = keyof typeof purposes;

/** 64 bits, as two unsigned 32-bit words. */
type Words = readonly [number, number];

/** An endless table of random values; `index` is an integer from 0 to 2^53 − 1, read in any order. */
export interface RandomStream {
  /** The Threefry key, for kernels that compute the same stream. */
  readonly key: Words;
  /** 32 random bits. */
  readonly uint32: (index: number) => number;
  /** Uniform on [0, 1), a multiple of 2^-32. */
  readonly uniform: (index: number) => number;
  /** Standard normal, correct to about 7 digits; the inverse distribution function of one `uint32`. */
  readonly normal: (index: number) => number;
}

/** Threefry-2x32-20: encrypts a 64-bit counter under a 64-bit key. */
export function threefry2x32(key: Words, counter: Words): Words {
  let [first, second] = key;
  let third = 0x1bd11bda ^ first ^ second;
  let x0 = (counter[0] + first) | 0;
  let x1 = (counter[1] + second) | 0;
  const round = (rotation: number): void => {
    x0 = (x0 + x1) | 0;
    x1 = ((x1 << rotation) | (x1 >>> (32 - rotation))) ^ x0;
  };
  for (let group = 1; group <= 5; group++) {
    const odd = group % 2 === 1;
    round(odd ? 13 : 17);
    round(odd ? 15 : 29);
    round(odd ? 26 : 16);
    round(odd ? 6 : 24);
    [first, second, third] = [second, third, first];
    x0 = (x0 + first) | 0;
    x1 = (x1 + second + group) | 0;
  }
  return [x0 >>> 0, x1 >>> 0];
}

/** Splits an integer from 0 to 2^53 − 1 into its low and high word. */
function wordsOf(value: number, what: string): Words {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new RangeError(`${what} must be an integer from 0 to 2^53 - 1, not ${value}`);
  }
  return [value >>> 0, Math.floor(value / 2 ** 32)];
}

/** The word at `index` of the stream under `key`: each counter gives two. */
function wordAt(key: Words, index: number): number {
  const [low, high] = wordsOf(index, "the index of a random value");
  return threefry2x32(key, [(low >>> 1) | (high << 31), high >>> 1])[index % 2 === 0 ? 0 : 1];
}

/**
 * The stream of one purpose; `step` tells apart what must differ from step to step (or epoch to epoch).
 * @throws RangeError for a seed that is no integer from 0 to 2^53 − 1, or a step that is no unsigned 32-bit integer
 */
export function randomStream(seed: number, purpose: Purpose, step = 0): RandomStream {
  if (step !== step >>> 0)
    throw new RangeError(`the step of a random stream must be an unsigned 32-bit integer, not ${step}`);
  const key = threefry2x32(wordsOf(seed, "the seed"), [purposes[purpose], step]);
  return {
    key,
    uint32: (index) => wordAt(key, index),
    uniform: (index) => wordAt(key, index) / 2 ** 32,
    normal: (index) => normalQuantile((wordAt(key, index) + 0.5) / 2 ** 32),
  };
}

/**
 * One value of a dropout mask: 0 with probability `rate` (0 ≤ rate < 1), else float32(1 / (1 − rate)). The kernel
 * `dropoutMask` computes the same bits.
 */
export function dropoutMaskAt(key: Words, index: number, rate: number): number {
  return wordAt(key, index) < dropoutThreshold(rate) ? 0 : Math.fround(1 / (1 - rate));
}

/** Words below this number are dropped. */
export function dropoutThreshold(rate: number): number {
  if (!(rate >= 0 && rate < 1)) throw new RangeError(`a dropout rate must be at least 0 and below 1, not ${rate}`);
  return Math.floor(rate * 2 ** 32);
}

/**
 * A bijection of 0 … length − 1 that looks random, computed for one index at a time: a Feistel network on pairs of
 * residues modulo a = ⌈√length⌉, walked on while it leads outside the range (Black and Rogaway, "Ciphers with arbitrary
 * finite domains", CT-RSA 2002). a² is at most length + 2√length, so a walk is rarely longer than one turn.
 */
export function permutation(
  seed: number,
  epoch: number,
  length: number,
  purpose: Purpose = "permutation",
): (index: number) => number {
  const stream = randomStream(seed, purpose, epoch);
  const roundKeys = Uint32Array.from({ length: 8 }, (_, round) => stream.uint32(round));
  const side = Math.ceil(Math.sqrt(length));
  return (index) => {
    if (!Number.isSafeInteger(index) || index < 0 || index >= length) {
      throw new RangeError(`index ${index} is outside a permutation of ${length}`);
    }
    let value = index;
    do {
      let left = Math.floor(value / side);
      let right = remainder(value, side);
      for (const roundKey of roundKeys) {
        const mixed = remainder(left + mix32(right ^ roundKey), side);
        left = right;
        right = mixed;
      }
      value = left * side + right;
    } while (value >= length);
    return value;
  };
}

/**
 * value % divisor for non-negative integers, without the slow division of doubles that % is beyond 31 bits. The quotient is
 * rounded, but with a divisor under 2^20 and a value under 2^33 it stays below an integer that the exact one is below.
 */
const remainder = (value: number, divisor: number): number =>
  divisor < 2 ** 20 ? value - Math.floor(value / divisor) * divisor : value % divisor;

/** A bijective mixer of 32 bits in which every input bit flips about half of the output bits (Wellons, "lowbias32"). */
function mix32(word: number): number {
  let mixed = Math.imul(word ^ (word >>> 16), 0x7feb352d);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x846ca68b);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

/**
 * The value a standard normal variable stays below with the given probability: algorithm AS 241, PPND7 (Wichura 1988),
 * without its branch for probabilities under e^-25, which 32 bits don't reach.
 */
function normalQuantile(probability: number): number {
  const fromMiddle = probability - 0.5;
  if (Math.abs(fromMiddle) <= 0.425) {
    const r = 0.180625 - fromMiddle * fromMiddle;
    const numerator = ((59.10937472 * r + 159.29113202) * r + 50.434271938) * r + 3.3871327179;
    return (fromMiddle * numerator) / (((67.1875636 * r + 78.757757664) * r + 17.895169469) * r + 1);
  }
  const r = Math.sqrt(-logarithm(fromMiddle < 0 ? probability : 1 - probability)) - 1.6;
  const numerator = ((0.17023821103 * r + 1.3067284816) * r + 2.75681539) * r + 1.4234372777;
  const magnitude = numerator / ((0.12021132975 * r + 0.7370016425) * r + 1);
  return fromMiddle < 0 ? -magnitude : magnitude;
}
