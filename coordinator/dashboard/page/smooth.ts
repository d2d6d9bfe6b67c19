/** The exponential moving average of a curve, without the bias towards zero of its first values (Kingma and Ba 2015, section 3). */
export function smoothed(values: Float32Array, weight: number): Float32Array {
  const result = new Float32Array(values.length);
  let mean = 0;
  let missing = 1;
  for (let at = 0; at < values.length; at++) {
    const value = values[at]!;
    if (Number.isFinite(value)) {
      mean = weight * mean + (1 - weight) * value;
      missing *= weight;
    }
    result[at] = missing === 1 ? value : mean / (1 - missing);
  }
  return result;
}
