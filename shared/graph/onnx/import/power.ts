/**
 * Powers. An exponent that the file stores is a constant, whatever its shape: x to a trained power has no derivative below
 * zero, and files do not tell one exponent from another.
 */
import type { Tensor } from "../../operation.ts";
import { multiply } from "../../operations/arithmetic.ts";
import { concat, slice } from "../../operations/arrange.ts";
import { broadcastShapes, expand } from "../../operations/broadcast.ts";
import { exp, log, power, sqrt } from "../../operations/elementwise.ts";
import { uniformOf } from "../../operations/source.ts";
import type { NodeContext } from "./context.ts";
import { asConstant, isNumbers } from "./value.ts";

function raisedBy(x: Tensor, exponent: number): Tensor {
  if (exponent === 2) return multiply(x, x);
  if (exponent === 0.5) return sqrt(x);
  return power(x, exponent);
}

const byLogarithm = (x: Tensor, exponent: Tensor): Tensor => exp(multiply(log(x), exponent));

/** xʸ for a stored y, which may differ along one axis; and for a positive x with any y. */
export function raised(x: Tensor, node: NodeContext): Tensor {
  const stored = node.stored(1);
  if (stored === undefined || !isNumbers(stored.values)) {
    const y = node.tensor(1);
    const exponent = uniformOf(y);
    return exponent === undefined
      ? byLogarithm(x, y)
      : raisedBy(expand(x, broadcastShapes(x.shape, y.shape, "Pow")), exponent);
  }
  const { shape, values } = stored;
  const wide = expand(x, broadcastShapes(x.shape, shape, "Pow"));
  const [first = 1] = values;
  if (values.every((value) => value === first)) return raisedBy(wide, first);
  const differs = shape.findIndex((size) => size !== 1);
  const axis = differs - shape.length + wide.shape.length;
  if (shape[differs] !== values.length || typeof wide.shape[axis] !== "number")
    return byLogarithm(x, asConstant(shape, values, x));
  const parts = values.map((value, at) => raisedBy(slice(wide, axis, at, at + 1), value));
  return concat(parts as [Tensor, ...Tensor[]], axis);
}
