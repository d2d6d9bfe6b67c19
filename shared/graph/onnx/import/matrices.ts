/** Products of matrices. */
import type { Tensor } from "../../operation.ts";
import { add, scale } from "../../operations/arithmetic.ts";
import { batchMatmul } from "../../operations/batch-matmul.ts";
import { reshape } from "../../operations/broadcast.ts";
import { linear, matmul } from "../../operations/matmul.ts";
import { rowsOf } from "../../values.ts";
import { type NodeContext, type Rules, shapeOf } from "./context.ts";
import { ofTensor } from "./value.ts";

/** α·A·B + β·C; with both 1 and a bias vector it is a dense layer. */
function gemm(node: NodeContext): Tensor {
  const [alpha, beta] = [node.number("alpha", 1), node.number("beta", 1)];
  const transposeLeft = node.number("transA", 0) === 1;
  const transposeRight = node.number("transB", 0) === 1;
  const [left, right] = [node.tensor(0), node.tensor(1)];
  const bias = node.has(2) ? node.tensor(2) : undefined;
  const isLayer = transposeRight && !transposeLeft && alpha === 1 && beta === 1 && rowsOf(right.shape) === undefined;
  if (isLayer && bias !== undefined && bias.shape.length === 1 && bias.shape[0] === right.shape[0])
    return linear(left, right, bias);
  const product = scale(matmul(left, right, { transposeLeft, transposeRight }), alpha);
  return bias === undefined ? product : add(product, scale(bias, beta));
}

function matMul(node: NodeContext): Tensor {
  const [left, right] = [node.tensor(0), node.tensor(1)];
  if (left.shape.length >= 2 && right.shape.length === 2 && rowsOf(right.shape) === undefined)
    return matmul(left, right);
  if (left.shape.length < 2 || right.shape.length < 2)
    return node.refuse(
      `it multiplies ${shapeOf(left)} by ${shapeOf(right)}`,
      "Vectors have to be matrices of one row or column.",
    );
  const asMatrices = (x: Tensor): Tensor => (x.shape.length === 2 ? reshape(x, [1, ...x.shape]) : x);
  return batchMatmul(asMatrices(left), asMatrices(right));
}

export const matrixRules: Rules = {
  Gemm: (node) => ofTensor(gemm(node)),
  MatMul: (node) => ofTensor(matMul(node)),
};
