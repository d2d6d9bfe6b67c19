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
  if (width === classes && isOneHot(numbers, width))
    throw invalidFile(
      nameOf(0),
      `expected a label from 0 to ${classes - 1}, found ${width} numbers, one of them 1 and the others 0 (one-hot), as in all samples`,
      "Labels are whole numbers, one a sample: save y.argmax(1) in place of y.",
    );
  const isTarget = (number: number): boolean =>
    classes === undefined ? Number.isFinite(number) : Number.isInteger(number) && number >= 0 && number < classes;
  const wrong = numbers.findIndex((number) => !isTarget(number));
  if (wrong >= 0)
    throw invalidFile(
      nameOf(Math.floor(wrong / width)),
      `expected ${classes === undefined ? "a finite number" : `a label from 0 to ${classes - 1}`}, found ${numbers[wrong]}`,
      classes === undefined ? "Correct or leave out that sample." : "Correct the label, or the number of classes.",
    );
  if (classes === undefined) return { target: { kind: "values", width }, array: numbers };
  const target: TargetSpec = { kind: "class", classes, ...(width === 1 ? {} : { positions: width }) };
  return { target, array: Int32Array.from(numbers) };
}

/** Whether every sample's numbers are 0 but for one, which is 1. */
function isOneHot(numbers: Float32Array, width: number): boolean {
  for (let begin = 0; begin < numbers.length; begin += width) {
    const sample = numbers.subarray(begin, begin + width);
    if (!sample.every((number) => number === 0 || number === 1)) return false;
    if (sample.reduce((sum, number) => sum + number, 0) !== 1) return false;
  }
  return true;
}
