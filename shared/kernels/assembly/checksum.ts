/**
 * A checksum of whole 64-byte lines: in each of 16 lanes the sum of its words and the sum of those sums (Fletcher, "An
 * arithmetic checksum for serial transmissions", 1982, modulo 2³²), so that order counts; the 32 results are mixed into one.
 * Where vectors are added, they or their sum are checked in the same pass: what comes from memory is read once, and several vectors at
 * a time faster than one after the other. Operands are loaded before the result is stored, so `out` may be one of them.
 */

function mix(hash: u32, word: u32): u32 {
  return (rotl(hash, 5) ^ word) * 0x9e3779b1;
}

function mixLanes(hash: u32, lanes: v128): u32 {
  hash = mix(hash, i32x4.extract_lane(lanes, 0));
  hash = mix(hash, i32x4.extract_lane(lanes, 1));
  hash = mix(hash, i32x4.extract_lane(lanes, 2));
  return mix(hash, i32x4.extract_lane(lanes, 3));
}

/** The checksum, from the sums of four lanes each and the sums of those. */
export function mixed(
  count: usize,
  sum0: v128,
  sum1: v128,
  sum2: v128,
  sum3: v128,
  order0: v128,
  order1: v128,
  order2: v128,
  order3: v128,
): u32 {
  const hash = mixLanes(mixLanes(mixLanes(mixLanes(<u32>count, sum0), sum1), sum2), sum3);
  return mixLanes(mixLanes(mixLanes(mixLanes(hash, order0), order1), order2), order3);
}

export function checksum(values: usize, count: usize): u32 {
  let sum0 = i32x4.splat(0);
  let sum1 = sum0;
  let sum2 = sum0;
  let sum3 = sum0;
  let order0 = sum0;
  let order1 = sum0;
  let order2 = sum0;
  let order3 = sum0;
  const end = values + (count << 2);
  for (let at = values; at < end; at += 64) {
    sum0 = i32x4.add(sum0, v128.load(at));
    sum1 = i32x4.add(sum1, v128.load(at, 16));
    sum2 = i32x4.add(sum2, v128.load(at, 32));
    sum3 = i32x4.add(sum3, v128.load(at, 48));
    order0 = i32x4.add(order0, sum0);
    order1 = i32x4.add(order1, sum1);
    order2 = i32x4.add(order2, sum2);
    order3 = i32x4.add(order3, sum3);
  }
  return mixed(count, sum0, sum1, sum2, sum3, order0, order1, order2, order3);
}

/** Adds vectors of whole lines; returns the checksum of the right one in front of that of the left one. */
export function addChecked(out: usize, left: usize, right: usize, count: usize): u64 {
  const zeros = i32x4.splat(0);
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
    v128.store(out + at, f32x4.add(one, other));
    left0 = i32x4.add(left0, one);
    right0 = i32x4.add(right0, other);
    leftOrder0 = i32x4.add(leftOrder0, left0);
    rightOrder0 = i32x4.add(rightOrder0, right0);

    one = v128.load(left + at, 16);
    other = v128.load(right + at, 16);
    v128.store(out + at, f32x4.add(one, other), 16);
    left1 = i32x4.add(left1, one);
    right1 = i32x4.add(right1, other);
    leftOrder1 = i32x4.add(leftOrder1, left1);
    rightOrder1 = i32x4.add(rightOrder1, right1);

    one = v128.load(left + at, 32);
    other = v128.load(right + at, 32);
    v128.store(out + at, f32x4.add(one, other), 32);
    left2 = i32x4.add(left2, one);
    right2 = i32x4.add(right2, other);
    leftOrder2 = i32x4.add(leftOrder2, left2);
    rightOrder2 = i32x4.add(rightOrder2, right2);

    one = v128.load(left + at, 48);
    other = v128.load(right + at, 48);
    v128.store(out + at, f32x4.add(one, other), 48);
    left3 = i32x4.add(left3, one);
    right3 = i32x4.add(right3, other);
    leftOrder3 = i32x4.add(leftOrder3, left3);
    rightOrder3 = i32x4.add(rightOrder3, right3);
  }
  const ofLeft = mixed(count, left0, left1, left2, left3, leftOrder0, leftOrder1, leftOrder2, leftOrder3);
  const ofRight = mixed(count, right0, right1, right2, right3, rightOrder0, rightOrder1, rightOrder2, rightOrder3);
  return ((<u64>ofRight) << 32) | <u64>ofLeft;
}

/** Adds four vectors of whole lines as the tree over four does; returns the checksum of their sum. */
export function addFourChecked(
  out: usize,
  first: usize,
  second: usize,
  third: usize,
  fourth: usize,
  count: usize,
): u32 {
  const zeros = i32x4.splat(0);
  let sum0 = zeros,
    sum1 = zeros,
    sum2 = zeros,
    sum3 = zeros;
  let order0 = zeros,
    order1 = zeros,
    order2 = zeros,
    order3 = zeros;
  const end = count << 2;
  for (let at: usize = 0; at < end; at += 64) {
    let left = f32x4.add(v128.load(first + at), v128.load(second + at));
    let right = f32x4.add(v128.load(third + at), v128.load(fourth + at));
    let sum = f32x4.add(left, right);
    v128.store(out + at, sum);
    sum0 = i32x4.add(sum0, sum);
    order0 = i32x4.add(order0, sum0);

    left = f32x4.add(v128.load(first + at, 16), v128.load(second + at, 16));
    right = f32x4.add(v128.load(third + at, 16), v128.load(fourth + at, 16));
    sum = f32x4.add(left, right);
    v128.store(out + at, sum, 16);
    sum1 = i32x4.add(sum1, sum);
    order1 = i32x4.add(order1, sum1);

    left = f32x4.add(v128.load(first + at, 32), v128.load(second + at, 32));
    right = f32x4.add(v128.load(third + at, 32), v128.load(fourth + at, 32));
    sum = f32x4.add(left, right);
    v128.store(out + at, sum, 32);
    sum2 = i32x4.add(sum2, sum);
    order2 = i32x4.add(order2, sum2);

    left = f32x4.add(v128.load(first + at, 48), v128.load(second + at, 48));
    right = f32x4.add(v128.load(third + at, 48), v128.load(fourth + at, 48));
    sum = f32x4.add(left, right);
    v128.store(out + at, sum, 48);
    sum3 = i32x4.add(sum3, sum);
    order3 = i32x4.add(order3, sum3);
  }
  return mixed(count, sum0, sum1, sum2, sum3, order0, order1, order2, order3);
}
