/**
 * A checksum of whole 64-byte lines: in each of 16 lanes the sum of its words and the sum of those sums (Fletcher, "An
 * arithmetic checksum for serial transmissions", 1982, modulo 2³²), so that order counts; the 32 results are mixed into one.
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
  let hash = mixLanes(mixLanes(mixLanes(mixLanes(<u32>count, sum0), sum1), sum2), sum3);
  hash = mixLanes(mixLanes(mixLanes(mixLanes(hash, order0), order1), order2), order3);
  return hash;
}
