/** The activations, written from operations; their derivatives follow by differentiation. Definitions as in PyTorch. */
import type { Tensor } from "../graph/operation.ts";
import { add, multiply, offset, scale, subtract } from "../graph/operations/arithmetic.ts";
import { erf, exp, relu, sigmoid, softplus, tanh } from "../graph/operations/elementwise.ts";

/** x where x > 0, else 0.01·x. */
const leakyRelu = (x: Tensor): Tensor => add(scale(x, 0.01), scale(relu(x), 0.99));

/** x where x > 0, else eˣ − 1. The exponential never sees a positive x, so it cannot overflow. */
function elu(x: Tensor): Tensor {
  const positive = relu(x);
  return add(positive, offset(exp(subtract(x, positive)), -1));
}

/** x·Φ(x), with Φ the normal distribution (Hendrycks and Gimpel, 2016). */
const gelu = (x: Tensor): Tensor => multiply(scale(x, 0.5), offset(erf(scale(x, Math.SQRT1_2)), 1));

/** The same paper's approximation: 0.5·x·(1 + tanh(√(2/π)·(x + 0.044715·x³))). */
function geluTanh(x: Tensor): Tensor {
  const cubic = multiply(x, offset(scale(multiply(x, x), 0.044715), 1));
  return multiply(scale(x, 0.5), offset(tanh(scale(cubic, Math.sqrt(2 / Math.PI))), 1));
}

export const activations = {
  relu,
  leakyRelu,
  elu,
  sigmoid,
  tanh,
  /** x·sigmoid(x). */
  silu: (x: Tensor): Tensor => multiply(x, sigmoid(x)),
  softplus,
  gelu,
  geluTanh,
} as const;

export type Activation = keyof typeof activations;
