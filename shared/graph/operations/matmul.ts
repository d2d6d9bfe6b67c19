/**
 * Products of matrices. The sample dimension is either the rows of the left operand, and then of the result, or it is
 * summed over (left transposed, right plain): that is a weight gradient, one per shard.
 */
import { product } from "../../shape.ts";
import { defineOperation, type NumericTensor, type Tensor } from "../operation.ts";
import { type Dim, rowsOf, sameDim, shapeMismatch, type TensorType } from "../values.ts";
import { reshape, sumSamples, sumTo } from "./broadcast.ts";

interface Transposes {
  readonly transposeLeft: boolean;
  readonly transposeRight: boolean;
}
const schema = { transposeLeft: "boolean", transposeRight: "boolean" } as const;

/** [m, n] of a product, or an error naming both shapes. */
function productShape(
  name: string,
  inputs: readonly TensorType[],
  { transposeLeft, transposeRight }: Transposes,
): [Dim, Dim] {
  const [left, right] = inputs;
  const wanted = `two float32 matrices that fit${transposeLeft ? ", the left transposed" : ""}${transposeRight ? ", the right transposed" : ""}`;
  const usable = (type: TensorType | undefined): type is TensorType =>
    type?.dtype === "float32" && type.shape.length === 2;
  if (!usable(left) || !usable(right)) throw shapeMismatch(name, wanted, inputs);
  const [m, k] = (transposeLeft ? left.shape.toReversed() : left.shape) as [Dim, Dim];
  const [inner, n] = (transposeRight ? right.shape.toReversed() : right.shape) as [Dim, Dim];
  if (!sameDim(k, inner) || typeof n === "object") throw shapeMismatch(name, wanted, inputs);
  return [m, n];
}

/** output[m, n] = Σ left·right, with an optional starting row. */
function multiplyInto(
  left: NumericTensor,
  right: NumericTensor,
  output: NumericTensor,
  at: Transposes,
  bias?: NumericTensor,
): void {
  const [m, n] = output.shape as [number, number];
  const k = left.shape[at.transposeLeft ? 0 : 1] as number;
  const [leftRow, leftInner] = at.transposeLeft ? [1, m] : [k, 1];
  const [rightInner, rightColumn] = at.transposeRight ? [1, k] : [n, 1];
  for (let row = 0; row < m; row++) {
    for (let column = 0; column < n; column++) {
      let total = bias === undefined ? 0 : (bias.data[column] as number);
      for (let inner = 0; inner < k; inner++) {
        total +=
          (left.data[row * leftRow + inner * leftInner] as number) *
          (right.data[inner * rightInner + column * rightColumn] as number);
      }
      output.data[row * n + column] = total;
    }
  }
}

const onnxAttributes = ({ transposeLeft, transposeRight }: Transposes) => ({
  transA: transposeLeft ? 1 : 0,
  transB: transposeRight ? 1 : 0,
});

/** Floats of the right matrix that the engine multiplies with at a time (onnxruntime's core/mlas/lib/sgemm.cpp: 128 × 128). */
const PANEL = 128 * 128;

/**
 * Whether to transpose a left matrix before the product. The engine would do it anew for each panel of the right one, while it
 * computes; a few panels cost more than a copy. 784-1024-1024-10 with 64 samples a shard: 1.05 to 1.08 times as fast, same bits.
 */
const paysToTranspose = ({ shape: [rows, columns] }: TensorType): boolean =>
  typeof rows === "number" && (columns as number) * Math.min(rows, 128) > 3 * PANEL;

const matmulOperation = defineOperation({
  name: "matmul",
  rows: "independent",
  attributes: schema,
  infer(inputs, attributes) {
    if (inputs.length !== 2) throw shapeMismatch("matmul", "two matrices", inputs);
    return { shape: productShape("matmul", inputs, attributes), dtype: "float32" };
  },
  gradient({ inputs: [left, right], gradient, attributes: { transposeLeft, transposeRight } }) {
    if (left === undefined || right === undefined) return [];
    return [
      transposeLeft
        ? matmul(right, gradient, { transposeLeft: transposeRight, transposeRight: true })
        : matmul(gradient, right, { transposeRight: !transposeRight }),
      transposeRight
        ? matmul(gradient, left, { transposeLeft: true, transposeRight: transposeLeft })
        : matmul(left, gradient, { transposeLeft: !transposeLeft }),
    ];
  },
  emit({ inputs, inputTypes, attributes, node, output }) {
    const [left, right] = inputs as [string, string];
    if (!attributes.transposeLeft || attributes.transposeRight || !paysToTranspose(inputTypes[1] as TensorType))
      node("Gemm", inputs, onnxAttributes(attributes), output);
    else node("Gemm", [node("Transpose", [left], { perm: [1, 0] }), right], {}, output);
  },
  evaluate([left, right], output, attributes) {
    if (left && right) multiplyInto(left, right, output, attributes);
  },
});

/** left · right, either of them transposed. Of a left [n, …, k] every row of the last axis is multiplied. */
export const matmul = (left: Tensor, right: Tensor, transposes: Partial<Transposes> = {}): Tensor =>
  overRows(left, (rows) =>
    rows.apply(matmulOperation, [rows, right], { transposeLeft: false, transposeRight: false, ...transposes }),
  );

/** Applies a function of rows [m, k] to the rows of the last axis, whatever stands before it. */
function overRows(x: Tensor, apply: (rows: Tensor) => Tensor): Tensor {
  const [leading, ...inner] = x.shape.slice(0, -1) as [Dim, ...number[]];
  if (inner.length === 0) return apply(x);
  const each = product(inner);
  const rows = typeof leading === "object" ? { rows: leading.rows * each } : leading * each;
  const y = apply(reshape(x, [rows, x.shape.at(-1) as Dim]));
  return reshape(y, [...x.shape.slice(0, -1), y.shape.at(-1) as Dim]);
}

const linearOperation = defineOperation({
  name: "linear",
  rows: "independent",
  attributes: {},
  infer(inputs) {
    const [x, weight, bias] = inputs;
    const shape = productShape("linear", inputs.slice(0, 2), { transposeLeft: false, transposeRight: true });
    const fits = bias?.dtype === "float32" && bias.shape.length === 1 && bias.shape[0] === shape[1];
    if (x === undefined || weight === undefined || inputs.length !== 3 || !fits || rowsOf(weight.shape) !== undefined) {
      throw shapeMismatch("linear", "x [n, in], weight [out, in] and bias [out]", inputs);
    }
    return { shape, dtype: "float32" };
  },
  gradient({ inputs: [x, weight, bias], gradient }) {
    if (x === undefined || weight === undefined || bias === undefined) return [];
    return [
      matmul(gradient, weight),
      matmul(gradient, x, { transposeLeft: true }),
      rowsOf(x.shape) === undefined ? sumTo(gradient, bias.shape) : sumSamples(gradient),
    ];
  },
  emit: ({ inputs, node, output }) => void node("Gemm", inputs, { transB: 1 }, output),
  evaluate([x, weight, bias], output) {
    if (x && weight) multiplyInto(x, weight, output, { transposeLeft: false, transposeRight: true }, bias);
  },
});

/** x · weightᵀ + bias over the last axis, with x [samples, …, in], weight [out, in], bias [out]. */
export const linear = (x: Tensor, weight: Tensor, bias: Tensor): Tensor =>
  overRows(x, (rows) => rows.apply(linearOperation, [rows, weight, bias], {}));

export const matmulOperations = [matmulOperation, linearOperation];
