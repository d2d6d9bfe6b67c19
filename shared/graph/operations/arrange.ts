/**
 * Entries put in other places: axes exchanged, tensors joined and cut, borders of zeros, the part above the diagonal
 * cleared. Nothing is computed, so rows are independent; the sample axis stays in front and whole.
 */
import { defineOperation, MOST_INPUTS, type NumericTensor, type Tensor } from "../operation.ts";
import { type Dim, rowsOf, sameDim, type Shape, shapeMismatch, type TensorType } from "../values.ts";
import { product } from "../../shape.ts";

/** Counted from the end where negative. */
const axisOf = (shape: Shape, axis: number): number => (axis < 0 ? axis + shape.length : axis);

/** Whether an axis may be cut and joined: it is there, and isn't the samples'. */
const isInner = (shape: Shape, axis: number): boolean =>
  axis >= 0 && axis < shape.length && typeof shape[axis] === "number";

const transposeOperation = defineOperation({
  name: "transpose",
  rows: "independent",
  attributes: { order: "integers" },
  infer(inputs, { order }) {
    const [x] = inputs;
    const isOrder =
      x !== undefined && order.length === x.shape.length && x.shape.every((_, axis) => order.includes(axis));
    if (!isOrder || inputs.length !== 1 || (rowsOf(x.shape) !== undefined && order[0] !== 0)) {
      throw shapeMismatch(
        `transpose to axes [${order.join(", ")}]`,
        "one tensor with these axes, samples first",
        inputs,
      );
    }
    return { shape: order.map((axis) => x.shape[axis] as Dim), dtype: x.dtype };
  },
  gradient: ({ gradient, attributes: { order } }) => [
    transpose(
      gradient,
      order.map((_, axis) => order.indexOf(axis)),
    ),
  ],
  emit: ({ inputs, attributes, node, output }) => void node("Transpose", inputs, { perm: attributes.order }, output),
  evaluate([x], output, { order }) {
    if (x === undefined) return;
    const strides = x.shape.map((_, axis) => product(x.shape.slice(axis + 1)));
    const steps = order.map((axis) => strides[axis] as number);
    output.data.forEach((_, entry) => {
      let rest = entry;
      let from = 0;
      for (let axis = order.length - 1; axis >= 0; axis--) {
        const size = output.shape[axis] as number;
        from += (rest % size) * (steps[axis] as number);
        rest = Math.floor(rest / size);
      }
      output.data[entry] = x.data[from] as number;
    });
  },
});

/** The axes in another order: axis `order[i]` of x becomes axis i; negative axes count from the end. */
export function transpose(x: Tensor, order: readonly number[]): Tensor {
  const places = order.map((axis) => axisOf(x.shape, axis));
  return places.every((axis, place) => axis === place) && places.length === x.shape.length
    ? x
    : x.apply(transposeOperation, [x], { order: places });
}

/** The last two axes exchanged. */
export function swapLast(x: Tensor): Tensor {
  const axes = [...x.shape.keys()];
  return transpose(x, [...axes.slice(0, -2), axes.length - 1, axes.length - 2]);
}

/** Visits runs of entries along `axis`: where each starts in a tensor of `own` and in one of `all` entries on that axis. */
function eachRun(
  shape: readonly number[],
  axis: number,
  all: number,
  start: number,
  visit: (ownAt: number, allAt: number, length: number) => void,
): void {
  const inner = product(shape.slice(axis + 1));
  const length = (shape[axis] as number) * inner;
  for (let outer = 0; outer < product(shape.slice(0, axis)); outer++) {
    visit(outer * length, (outer * all + start) * inner, length);
  }
}

const copyRun = (from: NumericTensor, fromAt: number, to: NumericTensor, toAt: number, length: number): void =>
  to.data.set(from.data.subarray(fromAt, fromAt + length), toAt);

const concatOperation = defineOperation({
  name: "concat",
  rows: "independent",
  attributes: { axis: "integer" },
  infer(inputs, { axis }) {
    const [first] = inputs;
    const fits = (type: TensorType): boolean =>
      type.dtype === first?.dtype &&
      type.shape.length === first.shape.length &&
      type.shape.every((dim, place) => place === axis || sameDim(dim, first.shape[place] as Dim));
    if (first === undefined || !inputs.every((type) => isInner(type.shape, axis) && fits(type))) {
      throw shapeMismatch(`concat along axis ${axis}`, "tensors that differ there only, and not in samples", inputs);
    }
    const total = inputs.reduce((sum, { shape }) => sum + (shape[axis] as number), 0);
    return { shape: first.shape.map((dim, place) => (place === axis ? total : dim)), dtype: first.dtype };
  },
  gradient({ inputs, gradient, attributes: { axis } }) {
    let end = 0;
    return inputs.map(({ shape }) => {
      const start = end;
      end += shape[axis] as number;
      return slice(gradient, axis, start, end);
    });
  },
  emit: ({ inputs, attributes, node, output }) => void node("Concat", inputs, { axis: attributes.axis }, output),
  evaluate(inputs, output, { axis }) {
    let start = 0;
    for (const input of inputs) {
      eachRun(input.shape, axis, output.shape[axis] as number, start, (own, all, length) =>
        copyRun(input, own, output, all, length),
      );
      start += input.shape[axis] as number;
    }
  },
});

/** Tensors joined along an axis, by default the last; negative axes count from the end. */
export function concat(parts: readonly [Tensor, ...Tensor[]], axis = -1): Tensor {
  const [first, ...others] = parts;
  if (others.length === 0) return first;
  if (parts.length <= MOST_INPUTS) return first.apply(concatOperation, parts, { axis: axisOf(first.shape, axis) });
  const groups = Array.from({ length: Math.ceil(parts.length / MOST_INPUTS) }, (_, group) =>
    concat(parts.slice(group * MOST_INPUTS, (group + 1) * MOST_INPUTS) as [Tensor, ...Tensor[]], axis),
  );
  return concat(groups as [Tensor, ...Tensor[]], axis);
}

const sliceOperation = defineOperation({
  name: "slice",
  rows: "independent",
  attributes: { axis: "integer", start: "integer", end: "integer" },
  infer(inputs, { axis, start, end }) {
    const [x] = inputs;
    const fits =
      x !== undefined && isInner(x.shape, axis) && start >= 0 && start < end && end <= (x.shape[axis] as number);
    if (!fits || inputs.length !== 1) {
      throw shapeMismatch(
        `slice ${start} to ${end} of axis ${axis}`,
        "one tensor that has these, and not of samples",
        inputs,
      );
    }
    return { shape: x.shape.map((dim, place) => (place === axis ? end - start : dim)), dtype: x.dtype };
  },
  gradient: ({ inputs: [x], gradient, attributes: { axis, start, end } }) => [
    pad(gradient, axis, start, ((x as Tensor).shape[axis] as number) - end),
  ],
  emit({ inputs, attributes: { axis, start, end }, node, constant, output }) {
    const [from, to, along] = [start, end, axis].map((value) => constant("int64", [1], [value])) as [
      string,
      string,
      string,
    ];
    node("Slice", [...inputs, from, to, along], {}, output);
  },
  evaluate([x], output, { axis, start }) {
    if (x === undefined) return;
    eachRun(output.shape, axis, x.shape[axis] as number, start, (own, all, length) =>
      copyRun(x, all, output, own, length),
    );
  },
});

/** Entries `start` to `end`, the end excluded, of an axis; negative axes count from the end. */
export function slice(x: Tensor, axis: number, start: number, end: number): Tensor {
  const at = axisOf(x.shape, axis);
  return start === 0 && end === x.shape[at] ? x : x.apply(sliceOperation, [x], { axis: at, start, end });
}

const padOperation = defineOperation({
  name: "pad",
  rows: "independent",
  attributes: { axis: "integer", before: "integer", after: "integer" },
  infer(inputs, { axis, before, after }) {
    const [x] = inputs;
    if (x?.dtype !== "float32" || inputs.length !== 1 || !isInner(x.shape, axis) || before < 0 || after < 0) {
      throw shapeMismatch(`pad axis ${axis} by ${before} and ${after}`, "one float32 tensor with that axis", inputs);
    }
    const padded = before + (x.shape[axis] as number) + after;
    return { shape: x.shape.map((dim, place) => (place === axis ? padded : dim)), dtype: x.dtype };
  },
  gradient: ({ inputs: [x], gradient, attributes: { axis, before } }) => [
    slice(gradient, axis, before, before + ((x as Tensor).shape[axis] as number)),
  ],
  emit({ inputs, outputType, attributes: { axis, before, after }, node, constant, output }) {
    const rank = outputType.shape.length;
    const sides = Array.from({ length: 2 * rank }, (_, side) =>
      side === axis ? before : side === axis + rank ? after : 0,
    );
    node("Pad", [...inputs, constant("int64", [2 * rank], sides)], {}, output);
  },
  evaluate([x], output, { axis, before }) {
    if (x === undefined) return;
    output.data.fill(0);
    eachRun(x.shape, axis, output.shape[axis] as number, before, (own, all, length) =>
      copyRun(x, own, output, all, length),
    );
  },
});

/** Zeros before and after the entries of an axis; negative axes count from the end. */
export const pad = (x: Tensor, axis: number, before: number, after: number): Tensor =>
  before + after === 0 ? x : x.apply(padOperation, [x], { axis: axisOf(x.shape, axis), before, after });

const lowerTriangleOperation = defineOperation({
  name: "lowerTriangle",
  rows: "independent",
  attributes: {},
  infer(inputs) {
    const [x] = inputs;
    const sizes = x?.shape.slice(-2) ?? [];
    if (
      x?.dtype !== "float32" ||
      inputs.length !== 1 ||
      sizes.length < 2 ||
      !sizes.every((size) => typeof size === "number")
    ) {
      throw shapeMismatch("lowerTriangle", "one float32 tensor of matrices [n, …, rows, columns]", inputs);
    }
    return { shape: x.shape, dtype: "float32" };
  },
  gradient: ({ gradient }) => [lowerTriangle(gradient)],
  emit: ({ inputs, node, output }) => void node("Trilu", inputs, { upper: 0 }, output),
  evaluate([x], output) {
    const [rows, columns] = output.shape.slice(-2) as [number, number];
    x?.data.forEach((value, entry) => {
      output.data[entry] = entry % columns <= Math.floor(entry / columns) % rows ? value : 0;
    });
  },
});

/** Matrices of the two last axes with zeros above the diagonal. */
export const lowerTriangle = (x: Tensor): Tensor => x.apply(lowerTriangleOperation, [x], {});

export const arrangeOperations = [
  transposeOperation,
  concatOperation,
  sliceOperation,
  padOperation,
  lowerTriangleOperation,
];
