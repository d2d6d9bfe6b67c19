/** Whether floats are finite, told by their magnitudes as integers: those of infinities and NaN are the largest. */

const magnitude = 0x7fffffff;
/** The bits of +∞: those of infinities and NaN without their sign are at least this, those of finite floats below. */
const infinity = 0x7f800000;

/** In each lane the larger of the most so far, at first zeros, and the magnitude of a float. */
export function largest(most: v128, floats: v128): v128 {
  return i32x4.max_s(most, v128.and(floats, i32x4.splat(magnitude)));
}

/** Whether the floats are finite of which this is the most. */
export function isBelowInfinity(most: v128): bool {
  return !v128.any_true(i32x4.ge_s(most, i32x4.splat(infinity)));
}
