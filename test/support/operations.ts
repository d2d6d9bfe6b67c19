/**
 * One example or more for every operation of the registry, as small graphs of a given odd or even width. The contract
 * tests run them on both engines, the unit tests differentiate them.
 */
import { GraphBuilder } from "../../shared/graph/graph.ts";
import type { Tensor } from "../../shared/graph/operation.ts";
import {
  add,
  divide,
  equal,
  greater,
  maximum,
  minimum,
  multiply,
  scale,
  select,
  subtract,
} from "../../shared/graph/operations/arithmetic.ts";
import { concat, lowerTriangle, pad, slice, transpose } from "../../shared/graph/operations/arrange.ts";
import { averagePool, averagePoolGradient } from "../../shared/graph/operations/average-pool.ts";
import { batchMatmul } from "../../shared/graph/operations/batch-matmul.ts";
import { expand, reshape, sum } from "../../shared/graph/operations/broadcast.ts";
import {
  absolute,
  erf,
  exp,
  log,
  power,
  relu,
  sigmoid,
  sign,
  softplus,
  sqrt,
  step,
  floor,
  ceil,
  round,
  tanh,
} from "../../shared/graph/operations/elementwise.ts";
import { conv2d, conv2dInputGradient, conv2dWeightGradient } from "../../shared/graph/operations/convolution.ts";
import { crossEntropy, oneHot } from "../../shared/graph/operations/labels.ts";
import { lookup, sumByRow } from "../../shared/graph/operations/lookup.ts";
import { linear, matmul } from "../../shared/graph/operations/matmul.ts";
import { atMaximum, maxPool, maxPoolGradient } from "../../shared/graph/operations/max-pool.ts";
import { normalise, scaleToUnit } from "../../shared/graph/operations/normalise.ts";
import { largest, smallest } from "../../shared/graph/operations/reduce.ts";
import { hardmax, logSoftmax, softmax } from "../../shared/graph/operations/softmax.ts";
import type { Shape } from "../../shared/graph/values.ts";
import { someNumbers } from "./programs.ts";

/** A convolution's options, all of them and none the same on both axes. */
const uneven = { stride: [2, 3], padding: [1, 0, 2, 1], dilation: [2, 1], groups: 2 };

/** Makes inputs; `rows` have a sample dimension, `weights` don't. */
export class Sources {
  readonly builder = new GraphBuilder();
  readonly made: Tensor[] = [];

  rows(...inner: number[]): Tensor {
    return this.#add([{ rows: 1 }, ...inner]);
  }
  weights(...shape: number[]): Tensor {
    return this.#add(shape);
  }
  labels(): Tensor {
    return this.builder.input("labels", { kind: "targets" }, [{ rows: 1 }], "int32");
  }
  #add(shape: Shape): Tensor {
    const name = `input${this.made.length}`;
    const tensor = this.builder.input(name, { kind: "parameter", parameter: name }, shape);
    this.made.push(tensor);
    return tensor;
  }
}

export interface Example {
  readonly operation: string;
  readonly title: string;
  readonly output: (from: Sources, width: number) => Tensor;
  /** Whether inputs must be above zero. */
  readonly positive?: boolean;
  /** Has so many numbers that a slope for each takes long, and is lost in the sum of all. */
  readonly isWide?: boolean;
}

const unary = (operation: string, apply: (x: Tensor) => Tensor, positive = false): Example => ({
  operation,
  title: operation,
  output: (from, width) => apply(from.rows(width)),
  positive,
});
const binary = (operation: string, apply: (left: Tensor, right: Tensor) => Tensor, positive = false): Example[] => [
  {
    operation,
    title: `${operation}, rows and rows`,
    output: (from, width) => apply(from.rows(width), from.rows(width)),
    positive,
  },
  {
    operation,
    title: `${operation}, rows and one row`,
    output: (from, width) => apply(from.rows(width), from.weights(width)),
    positive,
  },
  {
    operation,
    title: `${operation}, a column and rows`,
    output: (from, width) => apply(from.rows(1), from.rows(width)),
    positive,
  },
];

const once = { stride: [1, 1], padding: [0, 0, 0, 0], dilation: [1, 1], groups: 1 };
const columns = { kernel: [3, 1], stride: [3, 1], padding: [0, 0, 0, 0] };
const tiles = { kernel: [2, 3], stride: [2, 3], padding: [0, 0, 0, 0] };
const overlapping = { kernel: [3, 3], stride: [2, 1], padding: [1, 1, 1, 1] };

export const examples: readonly Example[] = [
  unary("input", (x) => x),
  {
    operation: "constant",
    title: "constant",
    output: (from, width) => multiply(from.rows(width), from.builder.constant([width], [...someNumbers(width)])),
  },
  {
    operation: "fill",
    title: "fill of rows",
    output: (from, width) => from.builder.uniform([{ rows: 1 }, width], 0.1),
  },
  {
    operation: "fill",
    title: "fill of a scalar",
    output: (from, width) => add(from.rows(width), from.builder.uniform([], 0.1)),
  },
  ...binary("add", add),
  ...binary("subtract", subtract),
  ...binary("multiply", multiply),
  ...binary("divide", divide, true),
  ...binary("maximum", maximum),
  ...binary("minimum", minimum),
  {
    operation: "greater",
    title: "greater",
    output: (from, width) => multiply(from.rows(width), greater(from.rows(width), from.weights(width))),
  },
  {
    operation: "equal",
    title: "equal",
    output(from, width) {
      const x = from.rows(width);
      return multiply(x, equal(x, relu(x)));
    },
  },
  {
    operation: "select",
    title: "select",
    output: (from, width) => select(greater(from.rows(width), from.weights(width)), from.rows(1), from.weights(width)),
  },
  unary("sum", (x) => sum(x, [0])),
  { operation: "sum", title: "sum over columns", output: (from, width) => sum(from.rows(width), [1]) },
  { operation: "sum", title: "sum over columns, kept", output: (from, width) => sum(from.rows(3, width), [2], true) },
  { operation: "sum", title: "sum of everything", output: (from, width) => sum(from.rows(width), [0, 1]) },
  {
    operation: "expand",
    title: "expand a column",
    output: (from, width) => expand(from.rows(1), [{ rows: 1 }, width]),
  },
  {
    operation: "expand",
    title: "expand one row",
    output: (from, width) => expand(from.weights(width), [{ rows: 1 }, width]),
  },
  {
    operation: "reshape",
    title: "reshape",
    output: (from, width) => reshape(from.rows(width, 4), [{ rows: 2 }, width * 2]),
  },
  unary("relu", relu),
  unary("step", step),
  unary("sign", sign),
  unary("floor", floor),
  unary("ceil", ceil),
  unary("round", round),
  unary("absolute", absolute),
  unary("exp", exp),
  unary("sqrt", sqrt, true),
  unary("log", log, true),
  unary("sigmoid", sigmoid),
  unary("tanh", tanh),
  unary("softplus", softplus),
  unary("power", (x) => power(x, 2.5), true),
  { ...unary("power", (x) => power(x, 3)), title: "power of any sign" },
  unary("erf", erf),
  { operation: "matmul", title: "matmul", output: (from, width) => matmul(from.rows(width), from.weights(width, 9)) },
  {
    operation: "matmul",
    title: "matmul, right transposed",
    output: (from, width) => matmul(from.rows(width), from.weights(9, width), { transposeRight: true }),
  },
  {
    operation: "matmul",
    title: "matmul over the samples",
    output: (from, width) => matmul(from.rows(width), from.rows(9), { transposeLeft: true }),
  },
  {
    operation: "matmul",
    title: "matmul of weights, both transposed",
    output: (from, width) =>
      matmul(
        from.rows(5),
        matmul(from.weights(width, 5), from.weights(9, width), { transposeLeft: true, transposeRight: true }),
      ),
  },
  {
    operation: "linear",
    title: "linear",
    output: (from, width) => linear(from.rows(width), from.weights(9, width), from.weights(9)),
  },
  {
    operation: "linear",
    title: "linear of every position",
    output: (from, width) => linear(from.rows(3, width), from.weights(9, width), from.weights(9)),
  },
  {
    // Wide enough for its weight gradient's left matrix to be transposed first.
    operation: "linear",
    title: "linear of 520 numbers",
    isWide: true,
    output: (from, width) => linear(from.rows(8, 520), from.weights(width, 520), from.weights(width)),
  },
  {
    operation: "batchMatmul",
    title: "batchMatmul",
    output: (from, width) => batchMatmul(from.rows(2, 3, width), from.rows(2, width, 5)),
  },
  {
    operation: "batchMatmul",
    title: "batchMatmul with one matrix for all",
    output: (from, width) => batchMatmul(from.rows(4, width), from.weights(1, width, 5)),
  },
  {
    operation: "transpose",
    title: "transpose",
    output: (from, width) => transpose(from.rows(2, width, 3), [0, 3, 1, 2]),
  },
  { operation: "concat", title: "concat", output: (from, width) => concat([from.rows(2, width), from.rows(2, 3)]) },
  { operation: "slice", title: "slice", output: (from, width) => slice(from.rows(width, 3), 1, 2, 5) },
  { operation: "pad", title: "pad", output: (from, width) => pad(from.rows(width, 3), -1, 1, 2) },
  {
    operation: "lowerTriangle",
    title: "lowerTriangle",
    output: (from, width) => lowerTriangle(from.rows(2, 4, width)),
  },
  { operation: "lookup", title: "lookup", output: (from, width) => lookup(from.weights(40, width), from.labels()) },
  {
    operation: "sumByRow",
    title: "sumByRow",
    output: (from, width) => sumByRow(from.labels(), from.rows(width), 40),
  },
  ...["normalise", "normaliseGradient"].map((operation) => ({
    operation,
    title: operation,
    output: (from: Sources, width: number) => multiply(normalise(from.rows(3, width)), from.weights(width)),
  })),
  ...["scaleToUnit", "scaleToUnitGradient"].map((operation) => ({
    operation,
    title: operation,
    output: (from: Sources, width: number) => multiply(scaleToUnit(from.rows(3, width), 0.1), from.weights(width)),
  })),
  { operation: "largest", title: "largest", output: (from, width) => largest(from.rows(3, width), [2]) },
  {
    operation: "smallest",
    title: "smallest over two axes",
    output: (from, width) => smallest(from.rows(3, width), [1, 2]),
  },
  {
    operation: "linear",
    title: "linear of weights",
    output: (from, width) =>
      matmul(from.rows(6), linear(from.weights(6, width), from.weights(9, width), from.weights(9))),
  },
  unary("softmax", (x) => softmax(x)),
  {
    operation: "softmax",
    title: "softmax over channels",
    output: (from, width) => softmax(scale(from.rows(3, width), 0.3), 1),
  },
  unary("logSoftmax", (x) => logSoftmax(x)),
  unary("hardmax", hardmax),
  {
    operation: "oneHot",
    title: "oneHot",
    output: (from, width) => multiply(from.rows(width), oneHot(from.labels(), width)),
  },
  {
    operation: "crossEntropy",
    title: "crossEntropy",
    output: (from, width) => crossEntropy(from.rows(width), from.labels()),
  },
  {
    operation: "conv2d",
    title: "conv2d",
    output: (from, width) => conv2d(from.rows(3, 5, width), from.weights(4, 3, 3, 3), from.weights(4)),
  },
  {
    operation: "conv2d",
    title: "conv2d of one channel and a kernel of 1×1",
    output: (from, width) => conv2d(from.rows(1, 2, width), from.weights(2, 1, 1, 1)),
  },
  {
    operation: "conv2d",
    title: "conv2d, strided, padded unevenly, dilated, in groups",
    output: (from, width) => conv2d(from.rows(4, 6, width), from.weights(6, 2, 3, 2), undefined, uneven),
  },
  {
    operation: "conv2d",
    title: "conv2d of few channels with more filters than taps, strided, padded unevenly, dilated, in groups",
    output: (from, width) => conv2d(from.rows(4, 6, width), from.weights(16, 2, 3, 2), undefined, uneven),
  },
  {
    operation: "conv2d",
    title: "conv2d, every channel by itself",
    output: (from, width) => conv2d(from.rows(3, 4, width), from.weights(3, 1, 3, 3), undefined, { groups: 3 }),
  },
  {
    operation: "conv2dInputGradient",
    title: "conv2dInputGradient",
    output: (from, width) =>
      conv2dInputGradient(from.rows(4, 3, width), from.weights(4, 2, 3, 3), [5, width + 2], once),
  },
  {
    operation: "conv2dInputGradient",
    title: "conv2dInputGradient of a strided convolution in groups",
    output: (from, width) =>
      conv2dInputGradient(from.rows(4, 2, width), from.weights(4, 1, 3, 2), [4, 2 * width], {
        stride: [2, 2],
        padding: [1, 0, 0, 0],
        dilation: [1, 1],
        groups: 2,
      }),
  },
  {
    operation: "conv2dWeightGradient",
    title: "conv2dWeightGradient of one channel with more filters than taps",
    output: (from, width) => conv2dWeightGradient(from.rows(1, 5, width), from.rows(9, 3, width - 2), [3, 3], once),
  },
  {
    operation: "conv2dWeightGradient",
    title: "conv2dWeightGradient",
    output: (from, width) => conv2dWeightGradient(from.rows(3, 5, width), from.rows(4, 3, width - 2), [3, 3], once),
  },
  {
    operation: "conv2dWeightGradient",
    title: "conv2dWeightGradient of many channels",
    output: (from, width) => conv2dWeightGradient(from.rows(10, 4, width), from.rows(3, 3, width - 1), [2, 2], once),
  },
  {
    operation: "conv2dWeightGradient",
    title: "conv2dWeightGradient of many channels, strided, padded unevenly, in groups",
    output: (from, width) =>
      conv2dWeightGradient(from.rows(18, 3, width), from.rows(2, 2, width - 1), [2, 2], {
        stride: [2, 1],
        padding: [1, 0, 0, 0],
        dilation: [1, 1],
        groups: 2,
      }),
  },
  {
    operation: "maxPool",
    title: "maxPool",
    output: (from, width) => maxPool(from.rows(2, 4, 2 * width), { kernel: [2, 2] }),
  },
  {
    operation: "maxPool",
    title: "maxPool that leaves entries over",
    output: (from, width) => maxPool(from.rows(2, 5, width), { kernel: [2, 3] }),
  },
  {
    operation: "maxPool",
    title: "maxPool, overlapping and padded",
    output: (from, width) => maxPool(from.rows(2, 5, width), overlapping),
  },
  {
    operation: "maxPoolGradient",
    title: "maxPoolGradient of tiles",
    output(from, width) {
      const x = from.rows(2, 4, 3 * width);
      return maxPoolGradient(x, from.rows(2, 2, width), tiles);
    },
  },
  {
    operation: "maxPoolGradient",
    title: "maxPoolGradient of tiles of equal entries",
    output(from, width) {
      const x = greater(from.rows(2, 5, 3 * width + 1), from.weights(2, 5, 3 * width + 1));
      return maxPoolGradient(x, from.rows(2, 2, width), tiles);
    },
  },
  {
    operation: "maxPoolGradient",
    title: "maxPoolGradient of columns",
    output(from, width) {
      return maxPoolGradient(from.rows(2, 6, width), from.rows(2, 2, width), columns);
    },
  },
  {
    operation: "maxPoolGradient",
    title: "maxPoolGradient of windows that overlap",
    output(from, width) {
      const x = from.rows(2, 5, width);
      return maxPoolGradient(x, from.rows(2, 3, width), overlapping);
    },
  },
  {
    operation: "atMaximum",
    title: "atMaximum",
    output: (from, width) => atMaximum(from.rows(2, 5, width), from.rows(2, 5, width), overlapping),
  },
  {
    operation: "averagePool",
    title: "averagePool",
    output: (from, width) => averagePool(from.rows(2, 5, width), { kernel: [2, 3] }),
  },
  {
    operation: "averagePoolGradient",
    title: "averagePoolGradient",
    output: (from, width) => averagePoolGradient(from.rows(2, 3, width), [5, width], overlapping),
  },
];
