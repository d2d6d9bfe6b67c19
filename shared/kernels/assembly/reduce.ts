/** Kernels that reduce a vector to one value. The order of additions depends on `count` alone. */
import { isBelowInfinity, largest } from "./finite";

/** 1 when no float is infinite or NaN. Four running maxima hide the latency of the comparison. */
export function allFinite(values: usize, count: usize): bool {
  let most0 = i32x4.splat(0);
  let most1 = most0;
  let most2 = most0;
  let most3 = most0;
  const end = values + (count << 2);
  const lines = values + ((count & ~15) << 2);
  let at = values;
  for (; at < lines; at += 64) {
    most0 = largest(most0, v128.load(at));
    most1 = largest(most1, v128.load(at, 16));
    most2 = largest(most2, v128.load(at, 32));
    most3 = largest(most3, v128.load(at, 48));
  }
  for (; at < end; at += 4) most0 = largest(most0, v128.load_zero<f32>(at));
  return isBelowInfinity(i32x4.max_s(i32x4.max_s(most0, most1), i32x4.max_s(most2, most3)));
}

/**
 * Σ v² in float64, where the squares are exact. Four running sums (floats 0, 1, 2, 3 of each vector) hide the latency of
 * the addition; they are added as (s0 + s2) + (s1 + s3), the floats behind the last whole vector after that.
 */
export function sumOfSquares(values: usize, count: usize): f64 {
  const vectors = (count & ~3) << 2;
  const end = count << 2;
  let firstSums = f64x2.splat(0);
  let lastSums = f64x2.splat(0);
  let at: usize = 0;
  for (; at < vectors; at += 16) {
    const vector = v128.load(values + at);
    const first = f64x2.promote_low_f32x4(vector);
    const last = f64x2.promote_low_f32x4(v128.shuffle<u64>(vector, vector, 1, 1));
    firstSums = f64x2.add(firstSums, f64x2.mul(first, first));
    lastSums = f64x2.add(lastSums, f64x2.mul(last, last));
  }
  const sums = f64x2.add(firstSums, lastSums);
  let sum = f64x2.extract_lane(sums, 0) + f64x2.extract_lane(sums, 1);
  for (; at < end; at += 4) {
    const value = <f64>load<f32>(values + at);
    sum += value * value;
  }
  return sum;
}
