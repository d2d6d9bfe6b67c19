/** Dropout masks: Threefry-2x32-20 (see shared/random.ts, which computes the same bits) for four counters at once. */

function rotate(words: v128, left: i32): v128 {
  return v128.or(i32x4.shl(words, left), i32x4.shr_u(words, 32 - left));
}

/** Stores `value` at `position` where that is inside the mask. */
function put(out: usize, position: i64, count: usize, value: f32): void {
  if (<u64>position < <u64>count) store<f32>(out + ((<usize>position) << 2), value);
}

/** Words `first` to `first + count − 1` of the stream under (key0, key1): below `threshold` 0, else `kept`. */
export function dropoutMask(
  out: usize,
  count: usize,
  key0: u32,
  key1: u32,
  first: u64,
  threshold: u32,
  kept: f32,
): void {
  const keptValues = f32x4.splat(kept);
  const thresholds = i32x4.splat(threshold);
  const k0 = i32x4.splat(key0);
  const k1 = i32x4.splat(key1);
  const k2 = i32x4.splat(0x1bd11bda ^ key0 ^ key1);
  // A counter gives two words, so an odd `first` starts with the second word of its counter.
  let counter = first >> 1;
  for (let position: i64 = -(<i64>(first & 1)); position < <i64>count; position += 8, counter += 4) {
    let x0 = i32x4(<i32>counter, <i32>(counter + 1), <i32>(counter + 2), <i32>(counter + 3));
    let x1 = i32x4(
      <i32>(counter >> 32),
      <i32>((counter + 1) >> 32),
      <i32>((counter + 2) >> 32),
      <i32>((counter + 3) >> 32),
    );
    let a = k0;
    let b = k1;
    let c = k2;
    x0 = i32x4.add(x0, a);
    x1 = i32x4.add(x1, b);
    for (let group = 1; group <= 5; group++) {
      // Rotations by constants: by a variable, a mask takes a quarter longer.
      if (group & 1) {
        x0 = i32x4.add(x0, x1);
        x1 = v128.xor(rotate(x1, 13), x0);
        x0 = i32x4.add(x0, x1);
        x1 = v128.xor(rotate(x1, 15), x0);
        x0 = i32x4.add(x0, x1);
        x1 = v128.xor(rotate(x1, 26), x0);
        x0 = i32x4.add(x0, x1);
        x1 = v128.xor(rotate(x1, 6), x0);
      } else {
        x0 = i32x4.add(x0, x1);
        x1 = v128.xor(rotate(x1, 17), x0);
        x0 = i32x4.add(x0, x1);
        x1 = v128.xor(rotate(x1, 29), x0);
        x0 = i32x4.add(x0, x1);
        x1 = v128.xor(rotate(x1, 16), x0);
        x0 = i32x4.add(x0, x1);
        x1 = v128.xor(rotate(x1, 24), x0);
      }
      const spare = a;
      a = b;
      b = c;
      c = spare;
      x0 = i32x4.add(x0, a);
      x1 = i32x4.add(x1, i32x4.add(b, i32x4.splat(group)));
    }
    const mask0 = v128.andnot(keptValues, i32x4.lt_u(x0, thresholds));
    const mask1 = v128.andnot(keptValues, i32x4.lt_u(x1, thresholds));
    const early = v128.shuffle<i32>(mask0, mask1, 0, 4, 1, 5);
    const late = v128.shuffle<i32>(mask0, mask1, 2, 6, 3, 7);
    if (position >= 0 && position + 8 <= <i64>count) {
      v128.store(out + ((<usize>position) << 2), early);
      v128.store(out + ((<usize>position) << 2), late, 16);
    } else {
      put(out, position, count, f32x4.extract_lane(early, 0));
      put(out, position + 1, count, f32x4.extract_lane(early, 1));
      put(out, position + 2, count, f32x4.extract_lane(early, 2));
      put(out, position + 3, count, f32x4.extract_lane(early, 3));
      put(out, position + 4, count, f32x4.extract_lane(late, 0));
      put(out, position + 5, count, f32x4.extract_lane(late, 1));
      put(out, position + 6, count, f32x4.extract_lane(late, 2));
      put(out, position + 7, count, f32x4.extract_lane(late, 3));
    }
  }
}
