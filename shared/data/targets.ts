/** Targets of formats that hold plain numbers. */
import { invalidFile } from "./files.ts";
import type { TargetSpec } from "./target.ts";

/**
 * `width` numbers a sample as labels if `classes` is given, one for each position, else as real values. `nameOf` is what errors
 * call a sample. Throws DATA_INVALID.
 */
export function targetsFrom(
  numbers: Float32Array,
  width: number,
  classes: number | undefined,
  nameOf: (sample: number) => string,
): { readonly target: TargetSpec; readonly array: Int32Array | Float32Array } {
  if (classes === undefined) return { target: { kind: "values", width }, array: numbers };
  const wrong = numbers.findIndex((label) => !Number.isInteger(label) || label < 0 || label >= classes);
  if (wrong >= 0)
    throw invalidFile(
      nameOf(Math.floor(wrong / width)),
      `expected a label from 0 to ${classes - 1}, found ${numbers[wrong]}`,
      "Correct the label, or the number of classes.",
    );
  const target: TargetSpec = { kind: "class", classes, ...(width === 1 ? {} : { positions: width }) };
  return { target, array: Int32Array.from(numbers) };
}
