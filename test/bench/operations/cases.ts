/**
 * Operations at the sizes that a shard of the small CNN, of the small transformer and of a dense network has them, each with
 * the same thing as plain nodes of ONNX: what the engine does at its best. Operands are input0, input1, … in both.
 */
import type { Tensor } from "../../../shared/graph/operation.ts";
import { add, multiply } from "../../../shared/graph/operations/arithmetic.ts";
import { averagePool } from "../../../shared/graph/operations/average-pool.ts";
import { transpose } from "../../../shared/graph/operations/arrange.ts";
import { batchMatmul } from "../../../shared/graph/operations/batch-matmul.ts";
import { conv2d } from "../../../shared/graph/operations/convolution.ts";
import { relu, tanh } from "../../../shared/graph/operations/elementwise.ts";
import { lookup } from "../../../shared/graph/operations/lookup.ts";
import { linear } from "../../../shared/graph/operations/matmul.ts";
import { maxPool } from "../../../shared/graph/operations/max-pool.ts";
import { normalise } from "../../../shared/graph/operations/normalise.ts";
import { softmax } from "../../../shared/graph/operations/softmax.ts";
import { activations } from "../../../shared/nn/activations.ts";
import type { FileNode } from "../../support/onnx-file.ts";
import type { Sources } from "../../support/operations.ts";

export interface Case {
  readonly title: string;
  /** Samples of a shard. */
  readonly samples: number;
  readonly output: (from: Sources) => Tensor;
  /** From input0, … to "output". */
  readonly bare: readonly FileNode[];
  /** Operands that are whole numbers below this, and have no gradient. */
  readonly tokensBelow?: number;
  /** The convolution's weights, whose gradient is also timed by itself. */
  readonly weights?: number;
}

const node = (type: string, inputs: readonly string[], attributes: FileNode["attributes"] = {}): FileNode => ({
  type,
  inputs,
  outputs: ["output"],
  attributes,
});

function convolution(channels: number, filters: number, side: number): Case {
  const same = { padding: [1, 1, 1, 1] };
  return {
    title: `conv 3×3, ${channels} → ${filters} of ${side}×${side}`,
    samples: 16,
    output: (from) =>
      conv2d(from.rows(channels, side, side), from.weights(filters, channels, 3, 3), from.weights(filters), same),
    bare: [node("Conv", ["input0", "input1", "input2"], { kernel_shape: [3, 3], pads: [1, 1, 1, 1] })],
    weights: 1,
  };
}

const window = { kernel_shape: [2, 2], strides: [2, 2] };

export const cases: readonly Case[] = [
  convolution(1, 32, 28),
  convolution(32, 64, 14),
  convolution(1, 16, 28),
  convolution(16, 32, 14),
  {
    title: "max pool 2×2 of 32×28×28",
    samples: 16,
    output: (from) => maxPool(from.rows(32, 28, 28), { kernel: [2, 2] }),
    bare: [node("MaxPool", ["input0"], window)],
  },
  {
    title: "average pool 2×2 of 32×28×28",
    samples: 16,
    output: (from) => averagePool(from.rows(32, 28, 28), { kernel: [2, 2] }),
    bare: [node("AveragePool", ["input0"], window)],
  },
  {
    title: "linear 784 → 64",
    samples: 16,
    output: (from) => linear(from.rows(784), from.weights(64, 784), from.weights(64)),
    bare: [node("Gemm", ["input0", "input1", "input2"], { transB: 1 })],
  },
  {
    title: "linear 1024 → 1024",
    samples: 64,
    output: (from) => linear(from.rows(1024), from.weights(1024, 1024), from.weights(1024)),
    bare: [node("Gemm", ["input0", "input1", "input2"], { transB: 1 })],
  },
  {
    title: "matmul 4×64×16 · 4×16×64",
    samples: 4,
    output: (from) => batchMatmul(from.rows(4, 64, 16), from.rows(4, 16, 64)),
    bare: [node("MatMul", ["input0", "input1"])],
  },
  {
    title: "softmax of 4×64×64",
    samples: 4,
    output: (from) => softmax(from.rows(4, 64, 64)),
    bare: [node("Softmax", ["input0"], { axis: -1 })],
  },
  {
    title: "layer norm of 64×64",
    samples: 4,
    output: (from) => add(multiply(normalise(from.rows(64, 64)), from.weights(64)), from.weights(64)),
    bare: [node("LayerNormalization", ["input0", "input1", "input2"])],
  },
  {
    title: "embedding of 64 tokens by 256×64",
    samples: 4,
    output: (from) => lookup(from.weights(256, 64), from.rows(64)),
    bare: [
      { type: "Cast", inputs: ["input1"], outputs: ["whole"], attributes: { to: 7 } },
      node("Gather", ["input0", "whole"]),
    ],
    tokensBelow: 256,
  },
  {
    title: "transpose of 64×4×16",
    samples: 4,
    output: (from) => transpose(from.rows(64, 4, 16), [0, 2, 1, 3]),
    bare: [node("Transpose", ["input0"], { perm: [0, 2, 1, 3] })],
  },
  {
    title: "relu of 32×28×28",
    samples: 16,
    output: (from) => relu(from.rows(32, 28, 28)),
    bare: [node("Relu", ["input0"])],
  },
  {
    title: "tanh of 64×256",
    samples: 4,
    output: (from) => tanh(from.rows(64, 256)),
    bare: [node("Tanh", ["input0"])],
  },
  {
    title: "gelu of 64×256",
    samples: 4,
    output: (from) => activations.gelu(from.rows(64, 256)),
    bare: [node("Gelu", ["input0"])],
  },
  {
    title: "add of 32×28×28",
    samples: 16,
    output: (from) => add(from.rows(32, 28, 28), from.rows(32, 28, 28)),
    bare: [node("Add", ["input0", "input1"])],
  },
  {
    title: "multiply of 32×28×28",
    samples: 16,
    output: (from) => multiply(from.rows(32, 28, 28), from.rows(32, 28, 28)),
    bare: [node("Mul", ["input0", "input1"])],
  },
];
