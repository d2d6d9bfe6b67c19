/** Sums, means and extremes along axes, and softmax. */
import { product } from "../../../shape.ts";
import type { Tensor } from "../../operation.ts";
import { add, multiply, subtract } from "../../operations/arithmetic.ts";
import { reshape, sum } from "../../operations/broadcast.ts";
import { absolute, exp, log, sqrt } from "../../operations/elementwise.ts";
import { largest, mean, smallest } from "../../operations/reduce.ts";
import { hardmax, logSoftmax, softmax } from "../../operations/softmax.ts";
import type { NodeContext, Rule, Rules } from "./context.ts";
import { ofTensor } from "./value.ts";

const square = (x: Tensor): Tensor => multiply(x, x);

/** A reduction of tensors; axes are an attribute in old files, an input in newer ones, and all of them where neither is given. */
const reduction =
  (
    reduce: (x: Tensor, axes: readonly number[]) => Tensor,
    before?: (x: Tensor) => Tensor,
    after?: (x: Tensor) => Tensor,
  ): Rule =>
  (node) => {
    const x = node.tensor(0);
    const given = node.has(1) ? node.numbers(1, "axes") : (node.list("axes") ?? []);
    // What is done to each entry is done all the same (from version 18 on, as onnxruntime has it).
    if (given.length === 0 && node.number("noop_with_empty_axes", 0) === 1) {
      const y = before?.(x) ?? x;
      return ofTensor(after?.(y) ?? y);
    }
    const all = given.length === 0 ? [...x.shape.keys()] : given;
    const axes = all.map((axis) => node.axis(axis, x.shape.length)).sort((left, right) => left - right);
    if (axes.some((axis) => typeof x.shape[axis] === "object"))
      return node.refuse(
        "it reduces over the samples",
        "Each sample is computed by itself: export the model without it.",
      );
    const reduced = reduce(before?.(x) ?? x, axes);
    const kept = x.shape.map((dim, axis) => (axes.includes(axis) ? 1 : dim));
    const shaped = node.number("keepdims", 1) === 1 ? reshape(reduced, kept) : reduced;
    return ofTensor(after?.(shaped) ?? shaped);
  };

const total = (x: Tensor, axes: readonly number[]): Tensor => sum(x, axes);

/** The largest is taken out before the exponential, which would go beyond all numbers, and put back after the logarithm. */
function logSumExp(x: Tensor, axes: readonly number[]): Tensor {
  const most = largest(x, axes);
  const kept = x.shape.map((dim, axis) => (axes.includes(axis) ? 1 : dim));
  return add(log(sum(exp(subtract(x, reshape(most, kept))), axes)), most);
}

/** Before version 13 it is over everything from an axis on, from then over one axis. */
const rowwise =
  (apply: (x: Tensor, axis?: number) => Tensor): Rule =>
  (node) => {
    const x = node.tensor(0);
    const rank = x.shape.length;
    if (node.operatorSet >= 13) return ofTensor(apply(x, node.axis(node.number("axis", -1), rank)));
    const axis = node.axis(node.number("axis", 1), rank);
    const rows = reshape(x, [...x.shape.slice(0, axis), product(x.shape.slice(axis) as number[])]);
    return ofTensor(reshape(apply(rows), x.shape));
  };

function hardest(x: Tensor, axis: number, node: NodeContext): Tensor {
  return axis === x.shape.length - 1
    ? hardmax(x)
    : node.refuse(
        `its axis is ${axis}`,
        "Only the last one is known: export the model with the axis -1, or take an output before it.",
      );
}

export const reductionRules: Rules = {
  ReduceSum: reduction(total),
  ReduceMean: reduction(mean),
  ReduceMax: reduction(largest),
  ReduceMin: reduction(smallest),
  ReduceSumSquare: reduction(total, square),
  ReduceL1: reduction(total, absolute),
  ReduceL2: reduction(total, square, sqrt),
  ReduceLogSum: reduction(total, undefined, log),
  ReduceLogSumExp: reduction(logSumExp),
  Softmax: rowwise(softmax),
  LogSoftmax: rowwise(logSoftmax),
  Hardmax: (node) => rowwise((x, axis = x.shape.length - 1) => hardest(x, axis, node))(node),
};
