/** Known numbers in other places. Exporters turn and cut lists of sizes and pads in ways that no tensor needs to be. */
import { product } from "../../../shape.ts";
import { type Known, ofNumbers, type Value } from "./value.ts";

/** The entries of an axis that a slice takes, in its order; a negative step goes from the end to the front. */
export function slicePlaces(start: number, end: number, step: number, size: number): number[] {
  const fromFront = (place: number): number => (place < 0 ? place + size : place);
  const [least, most] = step > 0 ? [0, size] : [-1, size - 1];
  const within = (place: number): number => Math.max(least, Math.min(most, fromFront(place)));
  const count = Math.max(0, Math.ceil((within(end) - within(start)) / step));
  return Array.from({ length: count }, (_, at) => within(start) + at * step);
}

/** The numbers that lie at these places of an axis. */
export function pickedAlong({ shape, values, isFloat }: Known, axis: number, places: readonly number[]): Known {
  const inner = product(shape.slice(axis + 1));
  const outer = product(shape.slice(0, axis));
  const stretch = (shape[axis] as number) * inner;
  const picked = Array.from({ length: outer }, (_, block) =>
    places.map((place) => values.slice(block * stretch + place * inner, block * stretch + (place + 1) * inner)),
  );
  return { shape: shape.map((size, at) => (at === axis ? places.length : size)), values: picked.flat(2), isFloat };
}

/** The numbers with their axes in another order. */
export function reordered({ shape, values, isFloat }: Known, order: readonly number[]): Value {
  const strides = shape.map((_, axis) => product(shape.slice(axis + 1)));
  const wanted = order.map((axis) => shape[axis] as number);
  const from = (at: number): number => {
    let [rest, place] = [at, 0];
    for (const axis of order.toReversed()) {
      place += (rest % shape[axis]!) * strides[axis]!;
      rest = Math.floor(rest / shape[axis]!);
    }
    return place;
  };
  return ofNumbers(
    wanted,
    values.map((_, at) => values[from(at)]!),
    isFloat,
  );
}
