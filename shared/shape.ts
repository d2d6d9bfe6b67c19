/** Shapes of known sizes: what all entries of a tensor are, and where one of them stands. */

/** The number of entries. */
export const product = (dimensions: readonly number[]): number => dimensions.reduce((left, right) => left * right, 1);

/** Where the entry of this number stands, row by row, as people read it: [3, 0]. */
export function describePlace(shape: readonly number[], entry: number): string {
  const place = shape.map((size, axis) => Math.floor(entry / product(shape.slice(axis + 1))) % size);
  return `[${place.join(", ")}]`;
}
