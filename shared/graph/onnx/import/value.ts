/**
 * What a name in an ONNX file stands for while its graph is built: a tensor, computed whenever the graph runs, or numbers
 * that are known by now. Exporters write shapes as graphs of their own; computing them here, with the number of samples as a
 * symbol, is what makes a file with a free batch size an ordinary graph.
 */
import { product } from "../../../shape.ts";
import type { Tensor } from "../../operation.ts";
import { constantOperation, fill } from "../../operations/source.ts";
import type { Dim } from "../../values.ts";

export interface Known {
  readonly shape: readonly number[];
  /** Row by row; sizes that depend on the number of samples are { rows }. */
  readonly values: readonly Dim[];
  /** Floats are rounded to float32; whole numbers and truth values are divided as such. */
  readonly isFloat: boolean;
}

export type Value = { readonly tensor: Tensor } | { readonly known: Known };

export const ofTensor = (tensor: Tensor): Value => ({ tensor });

export function ofNumbers(shape: readonly number[], values: readonly Dim[], isFloat = false): Value {
  const rounded = isFloat ? values.map((value) => (typeof value === "number" ? Math.fround(value) : value)) : values;
  return { known: { shape, values: rounded, isFloat } };
}

/** A list of whole numbers, such as a shape. */
export const ofList = (values: readonly Dim[]): Value => ofNumbers([values.length], values);

export const isNumbers = (values: readonly Dim[]): values is readonly number[] =>
  values.every((value) => typeof value === "number");

/** The largest finite float32: infinite constants become it, as masks that are multiplied by 0 would give no number. */
const LARGEST = 3.402_823_466_385_288_6e38;

export const finite = (value: number): number => Math.max(-LARGEST, Math.min(LARGEST, value));

/** Known numbers as a tensor in the graph of `beside`. */
export function asConstant(shape: readonly number[], values: readonly number[], beside: Tensor): Tensor {
  const all = values.map(finite);
  const [first = 0] = all;
  if (all.length !== product(shape) || all.some((value) => value !== first))
    return beside.apply(constantOperation, [], { shape, values: all });
  return fill(beside, shape, first);
}
