/** Reductions as layers have them: sums, means, and the largest and smallest entries along axes that are not the samples'. */
import { defineOperation, type GradientContext, type NumericTensor, type Tensor } from "../operation.ts";
import { rowsOf, samplesMixed, type Shape, shapeMismatch, type TensorType } from "../values.ts";
import { product } from "../../shape.ts";
import { divide, equal, multiply, scale } from "./arithmetic.ts";
import { broadcastOffsets, expand, reshape, sum } from "./broadcast.ts";

const keptShape = (shape: Shape, axes: readonly number[]): Shape =>
  shape.map((dim, axis) => (axes.includes(axis) ? 1 : dim));
const withoutAxes = (shape: Shape, axes: readonly number[]): Shape => shape.filter((_, axis) => !axes.includes(axis));

/** Ascending axes from axes of which negative ones count from the end; the samples' axis is not for reducing here. */
function innerAxes(name: string, x: Tensor, axes: readonly number[]): number[] {
  const places = axes.map((axis) => (axis < 0 ? axis + x.shape.length : axis)).sort((left, right) => left - right);
  if (places.includes(0) && rowsOf(x.shape) !== undefined)
    throw samplesMixed(`${name} over axes [${axes.join(", ")}]`, [x]);
  const fits = places.every((axis, place) => typeof x.shape[axis] === "number" && axis !== places[place + 1]);
  if (!fits) throw shapeMismatch(`${name} over axes [${axes.join(", ")}]`, "axes of known sizes, each once", [x]);
  return places;
}

/** The sum over some axes, but not over the samples; negative axes count from the end. */
export const sumInner = (x: Tensor, axes: readonly number[], keep = false): Tensor =>
  sum(x, innerAxes("sum", x, axes), keep);

/** The mean over some axes, but not over the samples; negative axes count from the end. */
export function mean(x: Tensor, axes: readonly number[], keep = false): Tensor {
  const places = innerAxes("mean", x, axes);
  return scale(sum(x, places, keep), 1 / product(places.map((axis) => x.shape[axis] as number)));
}

const extreme = (name: string, onnx: string, isBetter: (value: number, best: number) => boolean) =>
  defineOperation({
    name,
    rows: "independent",
    attributes: { axes: "integers" },
    infer(inputs: readonly TensorType[], { axes }: { readonly axes: readonly number[] }) {
      const [x] = inputs;
      const fits = x !== undefined && axes.every((axis) => typeof x.shape[axis] === "number");
      if (!fits || inputs.length !== 1 || x.dtype !== "float32" || axes.length === 0) {
        throw shapeMismatch(`${name} over axes [${axes.join(", ")}]`, "one float32 tensor with these axes", inputs);
      }
      return { shape: withoutAxes(x.shape, axes), dtype: "float32" };
    },
    gradient({
      inputs: [x],
      output,
      gradient,
      attributes: { axes },
    }: GradientContext<{ readonly axes: readonly number[] }>) {
      if (x === undefined) return [];
      const kept = keptShape(x.shape, axes);
      const marks = equal(x, expand(reshape(output, kept), x.shape));
      const shares = divide(marks, sum(marks, axes, true));
      return [multiply(shares, expand(reshape(gradient, kept), x.shape))];
    },
    emit({ inputs, attributes: { axes }, node, constant, output }) {
      node(onnx, [...inputs, constant("int64", [axes.length], axes)], { keepdims: 0 }, output);
    },
    evaluate([x]: readonly NumericTensor[], output, { axes }) {
      if (x === undefined) return;
      const offsets = broadcastOffsets(keptShape(x.shape, axes) as number[], x.shape);
      const seen = new Uint8Array(output.data.length);
      x.data.forEach((value, entry) => {
        const at = offsets[entry] as number;
        if (seen[at] === 0 || isBetter(value, output.data[at] as number)) output.data[at] = value;
        seen[at] = 1;
      });
    },
  });

const largestOperation = extreme("largest", "ReduceMax", (value, best) => value > best);
const smallestOperation = extreme("smallest", "ReduceMin", (value, best) => value < best);

/** The largest entry along axes, of which negative ones count from the end; the gradient is shared evenly by equal ones, as by PyTorch's amax. */
export const largest = (x: Tensor, axes: readonly number[]): Tensor =>
  x.apply(largestOperation, [x], { axes: innerAxes("largest", x, axes) });

/** The smallest entry along axes, of which negative ones count from the end; the gradient is shared evenly by equal ones. */
export const smallest = (x: Tensor, axes: readonly number[]): Tensor =>
  x.apply(smallestOperation, [x], { axes: innerAxes("smallest", x, axes) });

export const reduceOperations = [largestOperation, smallestOperation];
