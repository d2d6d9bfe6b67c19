/**
 * SIMD kernels over vectors of float32 in a WebAssembly.Memory, any number of threads on one memory.
 *
 * Vectors are given as byte offsets (multiples of 4) and a count of floats, which may be any number from 0 on. `out` may
 * be the same vector as an operand or share no byte with it. Every result has the bits of the formula evaluated with
 * each operation rounded to float32, on every machine.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { LockstepError } from "../errors.ts";
import { dropoutThreshold, type RandomStream } from "../random.ts";

/** What the kernels' module exports, see assembly/. */
interface ModuleExports {
  readonly add: (out: number, left: number, right: number, count: number) => void;
  readonly addFour: (out: number, first: number, second: number, third: number, fourth: number, count: number) => void;
  readonly addChecked: (out: number, left: number, right: number, count: number) => bigint;
  readonly addFourChecked: (...operands: Parameters<ModuleExports["addFour"]>) => number;
  readonly clamp: (out: number, values: number, limit: number, count: number) => void;
  readonly descend: (
    out: number,
    parameters: number,
    gradient: number,
    divisor: number,
    rate: number,
    count: number,
  ) => number;
  readonly descendWithMomentum: (
    out: number,
    after: number,
    parameters: number,
    before: number,
    gradient: number,
    divisor: number,
    momentum: number,
    rate: number,
    count: number,
  ) => number;
  readonly descendBySum: (
    out: number,
    parameters: number,
    left: number,
    right: number,
    divisor: number,
    rate: number,
    count: number,
  ) => bigint;
  readonly descendBySumWithMomentum: (
    out: number,
    after: number,
    parameters: number,
    before: number,
    left: number,
    right: number,
    divisor: number,
    momentum: number,
    rate: number,
    count: number,
  ) => bigint;
  readonly wasFinite: () => number;
  readonly divide: (out: number, dividend: number, divisor: number, count: number) => number;
  readonly weightedSum: (
    out: number,
    left: number,
    right: number,
    leftWeight: number,
    rightWeight: number,
    count: number,
  ) => number;
  readonly weightedSumOfSquares: (
    out: number,
    sum: number,
    value: number,
    sumWeight: number,
    squareWeight: number,
    count: number,
  ) => void;
  readonly divideByRoot: (
    out: number,
    dividend: number,
    square: number,
    dividendScale: number,
    squareScale: number,
    epsilon: number,
    count: number,
  ) => void;
  readonly allFinite: (values: number, count: number) => number;
  readonly sumOfSquares: (values: number, count: number) => number;
  readonly checksum: (values: number, count: number) => number;
  readonly pack: (out: number, values: number, base: number, count: number) => number;
  readonly unpack: (values: number, base: number, packed: number, length: number, count: number) => number;
  readonly bytesToUnits: (out: number, bytes: number, count: number) => void;
  readonly dropoutMask: (
    out: number,
    count: number,
    key0: number,
    key1: number,
    first: bigint,
    threshold: number,
    kept: number,
  ) => void;
}

/** What became of a step whose gradient is left + right. */
export interface StepBySum {
  /** Whether the gradient and all of out are finite. */
  readonly isFinite: boolean;
  /** The checksums of left and right. */
  readonly checksums: readonly [number, number];
}

/** The kernels of one memory. Numbers that are no vectors are rounded to float32 first. */
export interface Kernels {
  /** out = left + right */
  readonly add: ModuleExports["add"];
  /** out = (first + second) + (third + fourth) */
  readonly addFour: ModuleExports["addFour"];
  /** The same as `add` on vectors of whole 64-byte lines; the checksums of left and right. */
  addChecked(...operands: Parameters<ModuleExports["addChecked"]>): readonly [number, number];
  /** The same as `addFour` on vectors of whole 64-byte lines; the checksum of out. */
  addFourChecked(...operands: Parameters<ModuleExports["addFour"]>): number;
  /** out = values cut to −limit … limit; NaN stays NaN */
  readonly clamp: ModuleExports["clamp"];
  /** out = parameters − rate · (gradient / divisor). Whether all of out is finite, and with it the gradient. */
  descend(...operands: Parameters<ModuleExports["descend"]>): boolean;
  /** The same with after = momentum · before + gradient / divisor in place of the quotient. */
  descendWithMomentum(...operands: Parameters<ModuleExports["descendWithMomentum"]>): boolean;
  /** The same as `add` and `descend` one after the other, on vectors of whole 64-byte lines. */
  descendBySum(...operands: Parameters<ModuleExports["descendBySum"]>): StepBySum;
  /** The same as `add` and `descendWithMomentum`, likewise. */
  descendBySumWithMomentum(...operands: Parameters<ModuleExports["descendBySumWithMomentum"]>): StepBySum;
  /** out = dividend / divisor, the divisor being one number. Whether all of out is finite. */
  divide(out: number, dividend: number, divisor: number, count: number): boolean;
  /** out = left · leftWeight + right · rightWeight. Whether all of it is finite. */
  weightedSum(...operands: Parameters<ModuleExports["weightedSum"]>): boolean;
  /** out = sum · sumWeight + (value · value) · squareWeight */
  readonly weightedSumOfSquares: ModuleExports["weightedSumOfSquares"];
  /** out = (dividend · dividendScale) / (√(square · squareScale) + epsilon) */
  readonly divideByRoot: ModuleExports["divideByRoot"];
  /** Whether no float is infinite or NaN. */
  allFinite(values: number, count: number): boolean;
  /** Σ value² in float64, added in an order that depends on `count` alone. */
  readonly sumOfSquares: ModuleExports["sumOfSquares"];
  /** A checksum, an unsigned 32-bit integer, of a vector of whole 64-byte lines; see assembly/checksum.ts. */
  checksum(values: number, count: number): number;
  /**
   * Packs floats, a multiple of 4, without loss; how many bytes they have become, see assembly/pack.ts. `out` shares none with them
   * and has room for 134 bytes for every 32 floats, and for 16 more. `base` is a vector of as many that are much like them, or 0.
   */
  readonly pack: ModuleExports["pack"];
  /**
   * Unpacks `count` floats from `length` bytes, behind which 144 more can be read; they share none. Whether they are just so many
   * packed floats; if not, some of these may be overwritten all the same. `base` is as it was when they were packed.
   */
  unpack(values: number, base: number, packed: number, length: number, count: number): boolean;
  /** out[i] = float32(bytes[i] / 255) for `count` bytes; out and bytes share none */
  readonly bytesToUnits: ModuleExports["bytesToUnits"];
  /** out[i] = dropoutMaskAt(key, first + i, rate) of shared/random.ts, same bits. */
  dropoutMask(out: number, count: number, key: RandomStream["key"], first: number, rate: number): void;
}

const names: readonly (keyof ModuleExports)[] = [
  "add",
  "addFour",
  "addChecked",
  "addFourChecked",
  "clamp",
  "descend",
  "descendWithMomentum",
  "descendBySum",
  "descendBySumWithMomentum",
  "wasFinite",
  "divide",
  "weightedSum",
  "weightedSumOfSquares",
  "divideByRoot",
  "allFinite",
  "sumOfSquares",
  "checksum",
  "pack",
  "unpack",
  "bytesToUnits",
  "dropoutMask",
];

function isComplete(exports: object): exports is ModuleExports {
  return names.every((name) => name in exports);
}

/** The checksums of a left and a right vector, of which the right one stands in front. */
function bothOf(checksums: bigint): [number, number] {
  const both = BigInt.asUintN(64, checksums);
  return [Number(both & 0xffffffffn), Number(both >> 32n)];
}

let compiled: WebAssembly.Module | undefined;

/** The module, compiled once per thread. */
function compiledModule(): WebAssembly.Module {
  if (compiled !== undefined) return compiled;
  const file = fileURLToPath(new URL("./kernels.wasm", import.meta.url));
  try {
    compiled = new WebAssembly.Module(readFileSync(file));
  } catch (cause) {
    throw new LockstepError(
      "DISK_FAILED",
      `the kernels cannot be loaded from ${file}: ${cause instanceof Error ? cause.message : String(cause)}`,
      "In a checkout, `npm run build:kernels` builds them; an installed package is damaged and wants installing again.",
      { cause },
    );
  }
  return compiled;
}

/**
 * The kernels over `memory`, which must be shared (see Arena). Synchronous, on any thread.
 * @throws LockstepError DISK_FAILED when kernels.wasm is missing, damaged or older than this file
 */
export function instantiateKernels(memory: WebAssembly.Memory): Kernels {
  const { exports } = new WebAssembly.Instance(compiledModule(), { env: { memory } });
  if (!isComplete(exports)) {
    throw new LockstepError(
      "DISK_FAILED",
      `kernels.wasm lacks ${names.filter((name) => !(name in exports)).join(", ")}`,
      "It was built from older sources: run `npm run build:kernels`.",
    );
  }
  const {
    addChecked,
    addFourChecked,
    allFinite,
    checksum,
    descend,
    descendBySum,
    descendBySumWithMomentum,
    descendWithMomentum,
    divide,
    dropoutMask,
    unpack,
    wasFinite,
    weightedSum,
    ...others
  } = exports;
  const steppedBySum = (checksums: bigint): StepBySum => ({
    isFinite: wasFinite() === 1,
    checksums: bothOf(checksums),
  });
  return {
    ...others,
    addChecked: (...operands) => bothOf(addChecked(...operands)),
    addFourChecked: (...operands) => addFourChecked(...operands) >>> 0,
    descend: (...operands) => descend(...operands) === 1,
    descendWithMomentum: (...operands) => descendWithMomentum(...operands) === 1,
    descendBySum: (...operands) => steppedBySum(descendBySum(...operands)),
    descendBySumWithMomentum: (...operands) => steppedBySum(descendBySumWithMomentum(...operands)),
    allFinite: (values, count) => allFinite(values, count) === 1,
    checksum: (values, count) => checksum(values, count) >>> 0,
    divide: (out, dividend, divisor, count) => divide(out, dividend, divisor, count) === 1,
    weightedSum: (out, left, right, leftWeight, rightWeight, count) =>
      weightedSum(out, left, right, leftWeight, rightWeight, count) === 1,
    unpack: (values, base, packed, length, count) => unpack(values, base, packed, length, count) === 1,
    dropoutMask: (out, count, [key0, key1], first, rate) =>
      dropoutMask(out, count, key0, key1, BigInt(first), dropoutThreshold(rate), 1 / (1 - rate)),
  };
}
