/**
 * Copies bytes, either side shared memory or not; `to` is as long as `from`, and the two share none. A typed array's `set`
 * goes word by word where one side is a SharedArrayBuffer (5 GB/s where this takes 14, in the cache): that it may race with other
 * threads helps nobody here, where checksums and signals see to that.
 */
export function copyBytes(to: Uint8Array, from: Uint8Array): void {
  if (to.length !== from.length) throw new RangeError(`${from.length} bytes copied to ${to.length}`);
  // A pattern as long as what it fills is copied once, by memcpy; an empty one is refused.
  if (from.length > 0) Buffer.from(to.buffer, to.byteOffset, to.length).fill(from);
}
