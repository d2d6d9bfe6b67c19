/** Products of many matrices at once: [n, …, m, k] · [n, …, k, p], with NumPy's broadcasting of what stands in front. */
import { defineOperation, type Tensor } from "../operation.ts";
import { type Dim, sameDim, type Shape, shapeMismatch } from "../values.ts";
import { swapLast } from "./arrange.ts";
import { broadcastOffsets, broadcastShapes, sumTo } from "./broadcast.ts";

const batchMatmulOperation = defineOperation({
  name: "batchMatmul",
  rows: "independent",
  attributes: {},
  infer(inputs) {
    const [left, right] = inputs;
    const wanted = "two float32 tensors of matrices [n, …, m, k] and [n, …, k, p]";
    const isMatrices = (shape: Shape): boolean =>
      shape.length >= 3 && shape.slice(-2).every((dim) => typeof dim === "number");
    if (left?.dtype !== "float32" || right?.dtype !== "float32" || inputs.length !== 2)
      throw shapeMismatch("batchMatmul", wanted, inputs);
    const [m, k] = left.shape.slice(-2) as [Dim, Dim];
    const [inner, p] = right.shape.slice(-2) as [Dim, Dim];
    if (!isMatrices(left.shape) || !isMatrices(right.shape) || !sameDim(k, inner)) {
      throw shapeMismatch("batchMatmul", wanted, inputs);
    }
    const batch = broadcastShapes(left.shape.slice(0, -2), right.shape.slice(0, -2), "batchMatmul");
    return { shape: [...batch, m, p], dtype: "float32" };
  },
  gradient({ inputs: [left, right], gradient }) {
    if (left === undefined || right === undefined) return [];
    return [
      sumTo(batchMatmul(gradient, swapLast(right)), left.shape),
      sumTo(batchMatmul(swapLast(left), gradient), right.shape),
    ];
  },
  emit: ({ inputs, node, output }) => void node("MatMul", inputs, {}, output),
  evaluate([left, right], output) {
    if (left === undefined || right === undefined) return;
    const [m, p] = output.shape.slice(-2) as [number, number];
    const k = left.shape.at(-1) as number;
    const batch = output.shape.slice(0, -2);
    const [mine, yours] = [left, right].map(({ shape }) => broadcastOffsets(shape.slice(0, -2), batch));
    for (let entry = 0; entry < output.data.length; entry++) {
      const matrix = Math.floor(entry / (m * p));
      const row = ((mine?.[matrix] as number) * m + (Math.floor(entry / p) % m)) * k;
      const start = (yours?.[matrix] as number) * k * p + (entry % p);
      let total = 0;
      for (let inner = 0; inner < k; inner++) {
        total += (left.data[row + inner] as number) * (right.data[start + inner * p] as number);
      }
      output.data[entry] = total;
    }
  },
});

/** The products of the matrices on the two last axes. */
export const batchMatmul = (left: Tensor, right: Tensor): Tensor => left.apply(batchMatmulOperation, [left, right], {});

export const batchMatmulOperations = [batchMatmulOperation];
