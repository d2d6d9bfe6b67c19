/**
 * Shapes that differ: summing axes away, repeating along them, reshaping. Broadcasting is NumPy's, with the sample
 * dimension standing for a size of its own. A sum over the sample dimension yields one tensor per shard, and these are
 * combined along the canonical tree.
 */
import { LockstepError } from "../../errors.ts";
import { product } from "../../shape.ts";
import { defineOperation, type Tensor } from "../operation.ts";
import { describeShape, type Dim, rowsOf, sameDim, sameShape, type Shape, shapeMismatch } from "../values.ts";
import { fill, uniformOf } from "./source.ts";

/** The common shape of two operands; throws SHAPE_MISMATCH naming the operation and both. */
export function broadcastShapes(left: Shape, right: Shape, operation: string): Shape {
  const rank = Math.max(left.length, right.length);
  const at = (shape: Shape, axis: number): Dim => shape[axis - (rank - shape.length)] ?? 1;
  return Array.from({ length: rank }, (_, axis) => {
    const [mine, yours] = [at(left, axis), at(right, axis)];
    if (yours === 1 || sameDim(mine, yours)) return mine;
    if (mine === 1) return yours;
    throw new LockstepError(
      "SHAPE_MISMATCH",
      `${operation}: ${describeShape(left)} and ${describeShape(right)} differ at axis ${axis} of ${rank}`,
      "Sizes must be equal, or 1 on one side.",
    );
  });
}

/** For every entry of `output`, the offset of the entry of `input` that broadcasting puts there. */
export function broadcastOffsets(input: readonly number[], output: readonly number[]): Int32Array {
  const offsets = new Int32Array(product(output));
  if (product(input) === 1) return offsets;
  if (product(input) === offsets.length) return offsets.map((_, entry) => entry);
  const lead = output.length - input.length;
  let stride = 1;
  let repeat = 1;
  for (let axis = output.length - 1; axis >= 0; axis--) {
    const size = output[axis] as number;
    const own = axis < lead ? 1 : (input[axis - lead] as number);
    if (own !== 1) {
      for (let entry = 0; entry < offsets.length; entry++) {
        offsets[entry] = (offsets[entry] as number) + (Math.floor(entry / repeat) % size) * stride;
      }
    }
    stride *= own;
    repeat *= size;
  }
  return offsets;
}

const summedShape = (shape: Shape, axes: readonly number[], keep: boolean): Shape =>
  shape.flatMap((dim, axis) => (axes.includes(axis) ? (keep ? [1] : []) : [dim]));

const sumOperation = defineOperation({
  name: "sum",
  rows: "per-shard", // ReduceSum over inner axes depends on the address modulo 16
  attributes: { axes: "integers", keep: "boolean" },
  infer(inputs, { axes, keep }) {
    const [x] = inputs;
    const sorted = axes.every((axis, place) => axis >= 0 && (place === 0 || axis > (axes[place - 1] as number)));
    if (
      x === undefined ||
      inputs.length !== 1 ||
      x.dtype !== "float32" ||
      !sorted ||
      (axes.at(-1) ?? -1) >= x.shape.length
    ) {
      throw shapeMismatch(
        `sum over axes [${axes.join(", ")}]`,
        "one float32 tensor with these axes, ascending",
        inputs,
      );
    }
    if (keep && axes.includes(0) && rowsOf(x.shape) !== undefined) {
      throw shapeMismatch("sum", "the sample axis removed, not kept", inputs);
    }
    return { shape: summedShape(x.shape, axes, keep), dtype: "float32" };
  },
  gradient: ({ inputs: [x], gradient, attributes: { axes } }) => {
    const kept = summedShape((x as Tensor).shape, axes, true);
    return [expand(reshape(gradient, kept), (x as Tensor).shape)];
  },
  emit({ inputs, attributes, node, constant, output }) {
    const axes = constant("int64", [attributes.axes.length], attributes.axes);
    node("ReduceSum", [...inputs, axes], { keepdims: attributes.keep ? 1 : 0 }, output);
  },
  evaluate([x], output, { axes }) {
    if (x === undefined) return;
    const kept = x.shape.map((size, axis) => (axes.includes(axis) ? 1 : size));
    const offsets = broadcastOffsets(kept, x.shape);
    const total = new Float64Array(output.data.length);
    x.data.forEach(
      (value, entry) => void (total[offsets[entry] as number] = (total[offsets[entry] as number] as number) + value),
    );
    output.data.set(total);
  },
});

/** The sum over some axes. Over the sample axis it is a sum over the shard's samples. */
export function sum(x: Tensor, axes: readonly number[], keep = false): Tensor {
  if (axes.length === 0) return x;
  const value = uniformOf(x);
  const sizes = axes.map((axis) => x.shape[axis]);
  if (value !== undefined && sizes.every((size) => typeof size === "number")) {
    return fill(x, summedShape(x.shape, axes, keep), value * product(sizes));
  }
  return x.apply(sumOperation, [x], { axes, keep });
}

/** The sum over the samples: [samples, …] → […]. */
export const sumSamples = (x: Tensor): Tensor => sum(x, [0]);

/** Sums a gradient down to the shape of the operand that was broadcast. */
export function sumTo(gradient: Tensor, shape: Shape): Tensor {
  const lead = gradient.shape.length - shape.length;
  const axes = gradient.shape.flatMap((dim, axis) =>
    axis < lead || (shape[axis - lead] === 1 && dim !== 1) ? [axis] : [],
  );
  return reshape(sum(gradient, axes), shape);
}

const expandOperation = defineOperation({
  name: "expand",
  rows: "independent",
  attributes: { shape: "shape" },
  infer(inputs, { shape }) {
    const [x] = inputs;
    if (x === undefined || inputs.length !== 1 || !sameShape(broadcastShapes(x.shape, shape, "expand"), shape)) {
      throw shapeMismatch(`expand to ${describeShape(shape)}`, "one tensor that broadcasts to it", inputs);
    }
    return { shape, dtype: x.dtype };
  },
  gradient: ({ inputs: [x], gradient }) => [sumTo(gradient, (x as Tensor).shape)],
  emit: ({ inputs, outputType, node, shapeConstant, output }) =>
    void node("Expand", [...inputs, shapeConstant(outputType.shape)], {}, output),
  evaluate([x], output) {
    if (x === undefined) return;
    broadcastOffsets(x.shape, output.shape).forEach(
      (offset, entry) => void (output.data[entry] = x.data[offset] as number),
    );
  },
});

/** Repeats entries along axes of size 1 and along new leading axes. */
export function expand(x: Tensor, shape: Shape): Tensor {
  if (sameShape(x.shape, shape)) return x;
  const value = uniformOf(x);
  return value === undefined ? x.apply(expandOperation, [x], { shape }) : fill(x, shape, value);
}

const reshapeOperation = defineOperation({
  name: "reshape",
  rows: "independent",
  attributes: { shape: "shape" },
  infer(inputs, { shape }) {
    const [x] = inputs;
    const entries = (of: Shape): number => product(of.map((dim) => (typeof dim === "object" ? dim.rows : dim)));
    const fits = x !== undefined && inputs.length === 1 && entries(x.shape) === entries(shape);
    if (!fits || (rowsOf(x.shape) === undefined) !== (rowsOf(shape) === undefined)) {
      throw shapeMismatch(`reshape to ${describeShape(shape)}`, "one tensor with as many entries", inputs);
    }
    return { shape, dtype: x.dtype };
  },
  gradient: ({ inputs: [x], gradient }) => [reshape(gradient, (x as Tensor).shape)],
  emit: ({ inputs, outputType, node, shapeConstant, output }) =>
    void node("Reshape", [...inputs, shapeConstant(outputType.shape)], {}, output),
  evaluate: ([x], output) => x && output.data.set(x.data),
});

/** The same entries in row-major order under another shape. */
export function reshape(x: Tensor, shape: Shape): Tensor {
  if (sameShape(x.shape, shape)) return x;
  const value = uniformOf(x);
  return value === undefined ? x.apply(reshapeOperation, [x], { shape }) : fill(x, shape, value);
}

/** [samples, a, b, …] → [samples, a·b·…]. */
export const flatten = (x: Tensor): Tensor => reshape(x, [x.shape[0] as Dim, product(x.shape.slice(1) as number[])]);

export const broadcastOperations = [sumOperation, expandOperation, reshapeOperation];
