/** Functions of one row of scores: softmax, its logarithm, and the one-hot row of the largest score. */
import { defineOperation, type NumericTensor, type Tensor } from "../operation.ts";
import { rowsOf, samplesMixed, shapeMismatch, type TensorType } from "../values.ts";
import { multiply, subtract } from "./arithmetic.ts";
import { transpose } from "./arrange.ts";
import { expand, sum } from "./broadcast.ts";
import { exp } from "./elementwise.ts";

interface Rule {
  readonly name: string;
  readonly onnx: string;
  /** One row of scores in, one row out. */
  readonly compute: (row: readonly number[]) => readonly number[];
  readonly gradient: (output: Tensor, gradient: Tensor) => Tensor | undefined;
}

const rowwise = (rule: Rule) =>
  defineOperation({
    name: rule.name,
    rows: "independent",
    attributes: {},
    infer(inputs: readonly TensorType[]) {
      const [x] = inputs;
      if (inputs.length !== 1 || x?.dtype !== "float32" || x.shape.length < 2) {
        throw shapeMismatch(rule.name, "one float32 tensor [n, …, classes]", inputs);
      }
      return { shape: x.shape, dtype: "float32" };
    },
    gradient: ({ output, gradient }: { readonly output: Tensor; readonly gradient: Tensor }) => [
      rule.gradient(output, gradient),
    ],
    emit: ({ inputs, node, output }) => void node(rule.onnx, inputs, { axis: -1 }, output),
    evaluate([x]: readonly NumericTensor[], output) {
      if (x === undefined) return;
      const width = x.shape.at(-1) as number;
      for (let start = 0; start < x.data.length; start += width) {
        output.data.set(rule.compute([...x.data.subarray(start, start + width)]), start);
      }
    },
  });

const sumLast = (x: Tensor): Tensor => sum(x, [x.shape.length - 1], true);

function softmaxOf(row: readonly number[]): number[] {
  const largest = Math.max(...row);
  const powers = row.map((score) => Math.exp(score - largest));
  const total = powers.reduce((left, right) => left + right, 0);
  return powers.map((power) => power / total);
}

function logSoftmaxOf(row: readonly number[]): number[] {
  const largest = Math.max(...row);
  const total = row.reduce((sofar, score) => sofar + Math.exp(score - largest), 0);
  return row.map((score) => score - largest - Math.log(total));
}

const softmaxOperation = rowwise({
  name: "softmax",
  onnx: "Softmax",
  compute: softmaxOf,
  gradient: (output, gradient) => multiply(output, subtract(gradient, sumLast(multiply(gradient, output)))),
});

const logSoftmaxOperation = rowwise({
  name: "logSoftmax",
  onnx: "LogSoftmax",
  compute: logSoftmaxOf,
  gradient: (output, gradient) => subtract(gradient, multiply(exp(output), expand(sumLast(gradient), output.shape))),
});

const hardmaxOperation = rowwise({
  name: "hardmax",
  onnx: "Hardmax",
  compute(row) {
    const largest = row.indexOf(Math.max(...row));
    return row.map((_score, column) => (column === largest ? 1 : 0));
  },
  gradient: () => undefined,
});

/** Applies a function of the last axis along another one. */
function along(name: string, x: Tensor, axis: number, apply: (x: Tensor) => Tensor): Tensor {
  const last = x.shape.length - 1;
  const at = axis < 0 ? axis + x.shape.length : axis;
  if (at === 0 && rowsOf(x.shape) !== undefined) throw samplesMixed(`${name} along axis ${axis}`, [x]);
  if (at === last) return apply(x);
  const order = [...x.shape.keys()].map((place) => (place === at ? last : place === last ? at : place));
  return transpose(apply(transpose(x, order)), order);
}

/** eˣ divided by the sum of eˣ along an axis, by default the last; negative axes count from the end. */
export const softmax = (x: Tensor, axis = -1): Tensor =>
  along("softmax", x, axis, (rows) => rows.apply(softmaxOperation, [rows], {}));
/** The logarithm of the softmax. */
export const logSoftmax = (x: Tensor, axis = -1): Tensor =>
  along("logSoftmax", x, axis, (rows) => rows.apply(logSoftmaxOperation, [rows], {}));
/** 1 at the first largest entry of a row, 0 elsewhere; no gradient flows through it. */
export const hardmax = (x: Tensor): Tensor => x.apply(hardmaxOperation, [x], {});

export const softmaxOperations = [softmaxOperation, logSoftmaxOperation, hardmaxOperation];
