/**
 * Elementary functions in +, −, ×, ÷ and √ alone, which IEEE 754 rounds the same everywhere: Math.pow, Math.cos and Math.log may
 * differ in the last bit between builds of Node. Correct to about 15 digits.
 */

/** base to a non-negative integer power, by squaring. */
export function integerPower(base: number, exponent: number): number {
  let result = 1;
  let square = base;
  for (let left = exponent; left > 0; left = Math.floor(left / 2)) {
    if (left % 2 === 1) result *= square;
    square *= square;
  }
  return result;
}

/** Natural logarithm of 0 < x ≤ 1: ln x = ln m − k ln 2 with ln m = 2 artanh((m − 1) / (m + 1)). */
export function logarithm(x: number): number {
  let mantissa = x;
  let halvings = 0;
  for (; mantissa < Math.SQRT1_2; halvings++) mantissa *= 2;
  const s = (mantissa - 1) / (mantissa + 1);
  let series = 0;
  for (let power = 17; power >= 1; power -= 2) series = series * s * s + 1 / power;
  return 2 * s * series - halvings * Math.LN2;
}

/** eˣ for x ≤ 0: 2⁻ᵏ times the Taylor series of what is left of x, at most ln 2 in size. */
export function exponential(x: number): number {
  if (x < -745) return 0;
  const halvings = Math.floor(-x / Math.LN2);
  const rest = x + halvings * Math.LN2;
  let series = 1;
  for (let term = 18; term >= 1; term--) series = 1 + (rest / term) * series;
  for (let halving = 0; halving < halvings; halving++) series /= 2;
  return series;
}

/** base to a non-negative power, 0 ≤ base ≤ 1; 0⁰ = 1. */
export function power(base: number, exponent: number): number {
  if (exponent === 0) return 1;
  return base === 0 ? 0 : exponential(exponent * logarithm(base));
}

/** cos πt for 0 ≤ t ≤ 1. */
export function cosineOfHalfTurns(t: number): number {
  if (t > 0.5) return -cosineOfHalfTurns(1 - t);
  // Near a quarter turn the sine of the rest loses no digits.
  if (t > 0.25) return sine(Math.PI * (0.5 - t));
  const half = sine((Math.PI * t) / 2);
  return 1 - 2 * half * half;
}

/** sin x for |x| ≤ π/4, by its Taylor series. */
function sine(x: number): number {
  let series = 1;
  for (let term = 19; term >= 3; term -= 2) series = 1 - ((x * x) / (term * (term - 1))) * series;
  return x * series;
}
