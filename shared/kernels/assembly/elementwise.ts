/**
 * Kernels whose element i depends on the elements i of their operands. Operands are loaded before the result is stored,
 * so `out` may be one of them.
 */
import { isBelowInfinity, largest } from "./finite";

/** One float in lane 0, for what is left when the rest is no whole vector. */
export function single(address: usize): v128 {
  return v128.load_zero<f32>(address);
}

/** A whole line at a time, like the next one: a loop for each four floats takes longer than adding them. */
export function add(out: usize, left: usize, right: usize, count: usize): void {
  const lines = (count & ~15) << 2;
  const end = count << 2;
  let at: usize = 0;
  for (; at < lines; at += 64) {
    v128.store(out + at, f32x4.add(v128.load(left + at), v128.load(right + at)));
    v128.store(out + at, f32x4.add(v128.load(left + at, 16), v128.load(right + at, 16)), 16);
    v128.store(out + at, f32x4.add(v128.load(left + at, 32), v128.load(right + at, 32)), 32);
    v128.store(out + at, f32x4.add(v128.load(left + at, 48), v128.load(right + at, 48)), 48);
  }
  for (; at < end; at += 4) v128.store_lane<f32>(out + at, f32x4.add(single(left + at), single(right + at)), 0);
}

export function addFour(out: usize, first: usize, second: usize, third: usize, fourth: usize, count: usize): void {
  const lines = (count & ~15) << 2;
  const end = count << 2;
  let at: usize = 0;
  for (; at < lines; at += 64) {
    let left = f32x4.add(v128.load(first + at), v128.load(second + at));
    let right = f32x4.add(v128.load(third + at), v128.load(fourth + at));
    v128.store(out + at, f32x4.add(left, right));
    left = f32x4.add(v128.load(first + at, 16), v128.load(second + at, 16));
    right = f32x4.add(v128.load(third + at, 16), v128.load(fourth + at, 16));
    v128.store(out + at, f32x4.add(left, right), 16);
    left = f32x4.add(v128.load(first + at, 32), v128.load(second + at, 32));
    right = f32x4.add(v128.load(third + at, 32), v128.load(fourth + at, 32));
    v128.store(out + at, f32x4.add(left, right), 32);
    left = f32x4.add(v128.load(first + at, 48), v128.load(second + at, 48));
    right = f32x4.add(v128.load(third + at, 48), v128.load(fourth + at, 48));
    v128.store(out + at, f32x4.add(left, right), 48);
  }
  for (; at < end; at += 4) {
    const left = f32x4.add(single(first + at), single(second + at));
    const right = f32x4.add(single(third + at), single(fourth + at));
    v128.store_lane<f32>(out + at, f32x4.add(left, right), 0);
  }
}

/** Returns whether all results are finite. */
export function divide(out: usize, dividend: usize, divisor: f32, count: usize): bool {
  const divisors = f32x4.splat(divisor);
  const vectors = (count & ~3) << 2;
  const end = count << 2;
  let at: usize = 0;
  let most = i32x4.splat(0);
  for (; at < vectors; at += 16) {
    const quotients = f32x4.div(v128.load(dividend + at), divisors);
    most = largest(most, quotients);
    v128.store(out + at, quotients);
  }
  for (; at < end; at += 4) {
    const quotient = f32x4.div(single(dividend + at), divisors);
    most = largest(most, quotient);
    v128.store_lane<f32>(out + at, quotient, 0);
  }
  return isBelowInfinity(most);
}

export function clamp(out: usize, values: usize, limit: f32, count: usize): void {
  const most = f32x4.splat(limit);
  const least = f32x4.splat(-limit);
  const vectors = (count & ~3) << 2;
  const end = count << 2;
  let at: usize = 0;
  for (; at < vectors; at += 16) {
    v128.store(out + at, f32x4.max(f32x4.min(v128.load(values + at), most), least));
  }
  for (; at < end; at += 4) {
    v128.store_lane<f32>(out + at, f32x4.max(f32x4.min(single(values + at), most), least), 0);
  }
}

function weighted(left: v128, right: v128, leftWeight: v128, rightWeight: v128): v128 {
  return f32x4.add(f32x4.mul(left, leftWeight), f32x4.mul(right, rightWeight));
}

/** Returns whether all results are finite. */
export function weightedSum(
  out: usize,
  left: usize,
  right: usize,
  leftWeight: f32,
  rightWeight: f32,
  count: usize,
): bool {
  const lefts = f32x4.splat(leftWeight);
  const rights = f32x4.splat(rightWeight);
  const vectors = (count & ~3) << 2;
  const end = count << 2;
  let at: usize = 0;
  let most = i32x4.splat(0);
  for (; at < vectors; at += 16) {
    const sums = weighted(v128.load(left + at), v128.load(right + at), lefts, rights);
    most = largest(most, sums);
    v128.store(out + at, sums);
  }
  for (; at < end; at += 4) {
    const sum = weighted(single(left + at), single(right + at), lefts, rights);
    most = largest(most, sum);
    v128.store_lane<f32>(out + at, sum, 0);
  }
  return isBelowInfinity(most);
}

function weightedSquare(sum: v128, value: v128, sumWeight: v128, squareWeight: v128): v128 {
  return weighted(sum, f32x4.mul(value, value), sumWeight, squareWeight);
}

export function weightedSumOfSquares(
  out: usize,
  sum: usize,
  value: usize,
  sumWeight: f32,
  squareWeight: f32,
  count: usize,
): void {
  const sums = f32x4.splat(sumWeight);
  const squares = f32x4.splat(squareWeight);
  const vectors = (count & ~3) << 2;
  const end = count << 2;
  let at: usize = 0;
  for (; at < vectors; at += 16) {
    v128.store(out + at, weightedSquare(v128.load(sum + at), v128.load(value + at), sums, squares));
  }
  for (; at < end; at += 4) {
    v128.store_lane<f32>(out + at, weightedSquare(single(sum + at), single(value + at), sums, squares), 0);
  }
}

function overRoot(dividend: v128, square: v128, dividendScale: v128, squareScale: v128, epsilon: v128): v128 {
  const root = f32x4.sqrt(f32x4.mul(square, squareScale));
  return f32x4.div(f32x4.mul(dividend, dividendScale), f32x4.add(root, epsilon));
}

export function divideByRoot(
  out: usize,
  dividend: usize,
  square: usize,
  dividendScale: f32,
  squareScale: f32,
  epsilon: f32,
  count: usize,
): void {
  const dividendScales = f32x4.splat(dividendScale);
  const squareScales = f32x4.splat(squareScale);
  const epsilons = f32x4.splat(epsilon);
  const vectors = (count & ~3) << 2;
  const end = count << 2;
  let at: usize = 0;
  for (; at < vectors; at += 16) {
    const value = overRoot(v128.load(dividend + at), v128.load(square + at), dividendScales, squareScales, epsilons);
    v128.store(out + at, value);
  }
  for (; at < end; at += 4) {
    const value = overRoot(single(dividend + at), single(square + at), dividendScales, squareScales, epsilons);
    v128.store_lane<f32>(out + at, value, 0);
  }
}
