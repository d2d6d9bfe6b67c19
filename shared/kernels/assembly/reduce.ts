/** Kernels that reduce a vector to one value. The order of additions depends on `count` alone. */

/** 1 when no float is infinite or NaN: those are the floats whose exponent bits are all set. */
export function allFinite(values: usize, count: usize): bool {
  const exponent = i32x4.splat(0x7f800000);
  const vectors = (count & ~3) << 2;
  const end = count << 2;
  let found = i32x4.splat(0);
  let at: usize = 0;
  for (; at < vectors; at += 16) {
    found = v128.or(found, i32x4.eq(v128.and(v128.load(values + at), exponent), exponent));
  }
  for (; at < end; at += 4) {
    found = v128.or(found, i32x4.eq(v128.and(v128.load_zero<f32>(values + at), exponent), exponent));
  }
  return !v128.any_true(found);
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
