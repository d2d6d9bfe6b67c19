/**
 * Steps as those of descend.ts from a gradient that is the sum of two vectors of whole lines, which are added, checked (checksum.ts)
 * and used in one pass: as `addChecked` and `descend` this took half as long again where vectors came from memory. The bits are those of
 * the kernels for each, one after the other. Operands are loaded before results are stored.
 */
import { mixed } from "./checksum";
import { isBelowInfinity, largest } from "./finite";

/** Of the last step here; a thread has an instance of its own. */
let isLastFinite = true;

/** Whether the last step's gradient and next parameters are finite. */
export function wasFinite(): bool {
  return isLastFinite;
}

/**
 * Either step, compiled for each: with momentum if `Momentum` is bool, without if it is void. Returns the checksum of the right vector
 * in front of that of the left one.
 */
function step<Momentum>(
  out: usize,
  after: usize,
  parameters: usize,
  before: usize,
  left: usize,
  right: usize,
  divisor: f32,
  momentum: f32,
  rate: f32,
  count: usize,
): u64 {
  const divisors = f32x4.splat(divisor);
  const momenta = f32x4.splat(momentum);
  const rates = f32x4.splat(-rate);
  const zeros = i32x4.splat(0);
  let most = zeros;
  let left0 = zeros,
    left1 = zeros,
    left2 = zeros,
    left3 = zeros;
  let leftOrder0 = zeros,
    leftOrder1 = zeros,
    leftOrder2 = zeros,
    leftOrder3 = zeros;
  let right0 = zeros,
    right1 = zeros,
    right2 = zeros,
    right3 = zeros;
  let rightOrder0 = zeros,
    rightOrder1 = zeros,
    rightOrder2 = zeros,
    rightOrder3 = zeros;
  const end = count << 2;
  for (let at: usize = 0; at < end; at += 64) {
    let one = v128.load(left + at);
    let other = v128.load(right + at);
    let change = f32x4.div(f32x4.add(one, other), divisors);
    if (!isVoid<Momentum>()) {
      change = f32x4.add(f32x4.mul(v128.load(before + at), momenta), change);
      v128.store(after + at, change);
    }
    let next = f32x4.add(v128.load(parameters + at), f32x4.mul(change, rates));
    v128.store(out + at, next);
    most = largest(most, next);
    left0 = i32x4.add(left0, one);
    right0 = i32x4.add(right0, other);
    leftOrder0 = i32x4.add(leftOrder0, left0);
    rightOrder0 = i32x4.add(rightOrder0, right0);

    one = v128.load(left + at, 16);
    other = v128.load(right + at, 16);
    change = f32x4.div(f32x4.add(one, other), divisors);
    if (!isVoid<Momentum>()) {
      change = f32x4.add(f32x4.mul(v128.load(before + at, 16), momenta), change);
      v128.store(after + at, change, 16);
    }
    next = f32x4.add(v128.load(parameters + at, 16), f32x4.mul(change, rates));
    v128.store(out + at, next, 16);
    most = largest(most, next);
    left1 = i32x4.add(left1, one);
    right1 = i32x4.add(right1, other);
    leftOrder1 = i32x4.add(leftOrder1, left1);
    rightOrder1 = i32x4.add(rightOrder1, right1);

    one = v128.load(left + at, 32);
    other = v128.load(right + at, 32);
    change = f32x4.div(f32x4.add(one, other), divisors);
    if (!isVoid<Momentum>()) {
      change = f32x4.add(f32x4.mul(v128.load(before + at, 32), momenta), change);
      v128.store(after + at, change, 32);
    }
    next = f32x4.add(v128.load(parameters + at, 32), f32x4.mul(change, rates));
    v128.store(out + at, next, 32);
    most = largest(most, next);
    left2 = i32x4.add(left2, one);
    right2 = i32x4.add(right2, other);
    leftOrder2 = i32x4.add(leftOrder2, left2);
    rightOrder2 = i32x4.add(rightOrder2, right2);

    one = v128.load(left + at, 48);
    other = v128.load(right + at, 48);
    change = f32x4.div(f32x4.add(one, other), divisors);
    if (!isVoid<Momentum>()) {
      change = f32x4.add(f32x4.mul(v128.load(before + at, 48), momenta), change);
      v128.store(after + at, change, 48);
    }
    next = f32x4.add(v128.load(parameters + at, 48), f32x4.mul(change, rates));
    v128.store(out + at, next, 48);
    most = largest(most, next);
    left3 = i32x4.add(left3, one);
    right3 = i32x4.add(right3, other);
    leftOrder3 = i32x4.add(leftOrder3, left3);
    rightOrder3 = i32x4.add(rightOrder3, right3);
  }
  isLastFinite = isBelowInfinity(most);
  const ofLeft = mixed(count, left0, left1, left2, left3, leftOrder0, leftOrder1, leftOrder2, leftOrder3);
  const ofRight = mixed(count, right0, right1, right2, right3, rightOrder0, rightOrder1, rightOrder2, rightOrder3);
  return ((<u64>ofRight) << 32) | <u64>ofLeft;
}

/** out = parameters − rate · ((left + right) / divisor) */
export function descendBySum(
  out: usize,
  parameters: usize,
  left: usize,
  right: usize,
  divisor: f32,
  rate: f32,
  count: usize,
): u64 {
  return step<void>(out, 0, parameters, 0, left, right, divisor, 0, rate, count);
}

/** The same with after = momentum · before + (left + right) / divisor in place of the quotient. */
export function descendBySumWithMomentum(
  out: usize,
  after: usize,
  parameters: usize,
  before: usize,
  left: usize,
  right: usize,
  divisor: f32,
  momentum: f32,
  rate: f32,
  count: usize,
): u64 {
  return step<bool>(out, after, parameters, before, left, right, divisor, momentum, rate, count);
}
