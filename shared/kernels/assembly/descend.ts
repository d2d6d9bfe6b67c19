/**
 * Steps of gradient descent in one pass: vectors that come from memory are read once, and together faster than one after the
 * other. The bits are those of the kernels for each operation, one after the other. Operands are loaded before results are stored,
 * so a result may take the place of one of them.
 */
import { single } from "./elementwise";
import { isBelowInfinity, largest } from "./finite";

/**
 * A step of gradient descent: out = parameters − rate · g with the mean gradient g = gradient / divisor. Returns whether out is
 * finite, and with it g: else rate · g would be infinite or NaN, also where the rate is 0.
 */
export function descend(out: usize, parameters: usize, gradient: usize, divisor: f32, rate: f32, count: usize): bool {
  const divisors = f32x4.splat(divisor);
  const rates = f32x4.splat(-rate);
  const vectors = (count & ~3) << 2;
  const end = count << 2;
  let at: usize = 0;
  let most = i32x4.splat(0);
  for (; at < vectors; at += 16) {
    const mean = f32x4.div(v128.load(gradient + at), divisors);
    const next = f32x4.add(v128.load(parameters + at), f32x4.mul(mean, rates));
    most = largest(most, next);
    v128.store(out + at, next);
  }
  for (; at < end; at += 4) {
    const mean = f32x4.div(single(gradient + at), divisors);
    const next = f32x4.add(single(parameters + at), f32x4.mul(mean, rates));
    most = largest(most, next);
    v128.store_lane<f32>(out + at, next, 0);
  }
  return isBelowInfinity(most);
}

/** The same with out = parameters − rate · b for b = momentum · before + g, which goes to `after`. */
export function descendWithMomentum(
  out: usize,
  after: usize,
  parameters: usize,
  before: usize,
  gradient: usize,
  divisor: f32,
  momentum: f32,
  rate: f32,
  count: usize,
): bool {
  const divisors = f32x4.splat(divisor);
  const momenta = f32x4.splat(momentum);
  const rates = f32x4.splat(-rate);
  const vectors = (count & ~3) << 2;
  const end = count << 2;
  let at: usize = 0;
  let most = i32x4.splat(0);
  for (; at < vectors; at += 16) {
    const mean = f32x4.div(v128.load(gradient + at), divisors);
    const trace = f32x4.add(f32x4.mul(v128.load(before + at), momenta), mean);
    const next = f32x4.add(v128.load(parameters + at), f32x4.mul(trace, rates));
    most = largest(most, next);
    v128.store(after + at, trace);
    v128.store(out + at, next);
  }
  for (; at < end; at += 4) {
    const mean = f32x4.div(single(gradient + at), divisors);
    const trace = f32x4.add(f32x4.mul(single(before + at), momenta), mean);
    const next = f32x4.add(single(parameters + at), f32x4.mul(trace, rates));
    most = largest(most, next);
    v128.store_lane<f32>(after + at, trace, 0);
    v128.store_lane<f32>(out + at, next, 0);
  }
  return isBelowInfinity(most);
}
