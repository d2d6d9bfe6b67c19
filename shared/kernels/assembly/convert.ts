/** Kernels that change how numbers are stored. */

/** out[i] = float32(bytes[i] / 255), sixteen at a time and the rest one by one: division is correctly rounded either way. */
export function bytesToUnits(out: usize, bytes: usize, count: usize): void {
  const scale = f32x4.splat(255);
  const whole = count & ~15;
  let at: usize = 0;
  for (; at < whole; at += 16) {
    const vector = v128.load(bytes + at);
    const low = i16x8.extend_low_i8x16_u(vector);
    const high = i16x8.extend_high_i8x16_u(vector);
    const to = out + (at << 2);
    v128.store(to, f32x4.div(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_u(low)), scale));
    v128.store(to, f32x4.div(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_u(low)), scale), 16);
    v128.store(to, f32x4.div(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_u(high)), scale), 32);
    v128.store(to, f32x4.div(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_u(high)), scale), 48);
  }
  for (; at < count; at++) store<f32>(out + (at << 2), <f32>load<u8>(bytes + at) / 255);
}
