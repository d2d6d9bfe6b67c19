/** Shape rules: what operations accept, what they give, and that they say both shapes when they refuse. */
import { expect, test } from "vitest";
import { gradientsOf } from "../../../shared/graph/autodiff.ts";
import { GraphBuilder } from "../../../shared/graph/graph.ts";
import type { Tensor } from "../../../shared/graph/operation.ts";
import { add, clamp, multiply, offset, scale } from "../../../shared/graph/operations/arithmetic.ts";
import { concat, lowerTriangle, pad, slice, transpose } from "../../../shared/graph/operations/arrange.ts";
import { averagePool } from "../../../shared/graph/operations/average-pool.ts";
import { batchMatmul } from "../../../shared/graph/operations/batch-matmul.ts";
import { ops } from "../../../shared/graph/operations/checked.ts";
import { expand, flatten, reshape, sum } from "../../../shared/graph/operations/broadcast.ts";
import { conv2d } from "../../../shared/graph/operations/convolution.ts";
import { power, relu } from "../../../shared/graph/operations/elementwise.ts";
import { crossEntropy, oneHot } from "../../../shared/graph/operations/labels.ts";
import { lookup, sumByRow } from "../../../shared/graph/operations/lookup.ts";
import { linear, matmul } from "../../../shared/graph/operations/matmul.ts";
import { maxPool } from "../../../shared/graph/operations/max-pool.ts";
import { normalise } from "../../../shared/graph/operations/normalise.ts";
import { largest, mean } from "../../../shared/graph/operations/reduce.ts";
import { fill } from "../../../shared/graph/operations/source.ts";
import { softmax } from "../../../shared/graph/operations/softmax.ts";
import { describeShape } from "../../../shared/graph/values.ts";
import { Sources } from "../../support/operations.ts";

const shapes: readonly (readonly [string, (from: Sources) => Tensor, string])[] = [
  ["rows and a row", (from) => add(from.rows(4), from.weights(4)), "[samples, 4]"],
  ["rows and a column", (from) => add(from.rows(4), from.rows(1)), "[samples, 4]"],
  ["higher rank", (from) => multiply(from.rows(2, 3), from.weights(3)), "[samples, 2, 3]"],
  ["sum over samples", (from) => sum(from.rows(2, 3), [0]), "[2, 3]"],
  ["sum kept", (from) => sum(from.rows(2, 3), [2], true), "[samples, 2, 1]"],
  ["flatten", (from) => flatten(from.rows(2, 3)), "[samples, 6]"],
  ["reshape into more rows", (from) => reshape(from.rows(2, 3), [{ rows: 2 }, 3]), "[samples×2, 3]"],
  ["expand", (from) => expand(from.weights(1, 3), [{ rows: 1 }, 3]), "[samples, 3]"],
  ["matmul", (from) => matmul(from.rows(4), from.weights(4, 5)), "[samples, 5]"],
  ["matmul over samples", (from) => matmul(from.rows(4), from.rows(5), { transposeLeft: true }), "[4, 5]"],
  ["linear", (from) => linear(from.rows(4), from.weights(5, 4), from.weights(5)), "[samples, 5]"],
  [
    "linear of every position",
    (from) => linear(from.rows(3, 4), from.weights(5, 4), from.weights(5)),
    "[samples, 3, 5]",
  ],
  ["many products", (from) => batchMatmul(from.rows(2, 3, 4), from.rows(1, 4, 5)), "[samples, 2, 3, 5]"],
  ["transpose", (from) => transpose(from.rows(2, 3), [0, 2, 1]), "[samples, 3, 2]"],
  ["concat", (from) => concat([from.rows(2, 3), from.rows(4, 3)], 1), "[samples, 6, 3]"],
  ["slice", (from) => slice(from.rows(5), -1, 1, 4), "[samples, 3]"],
  ["pad", (from) => pad(from.rows(5), -1, 1, 4), "[samples, 10]"],
  ["lookup", (from) => lookup(from.weights(9, 4), from.rows(2)), "[samples, 2, 4]"],
  ["sum in a layer", (from) => ops.sum(from.rows(5, 2), [-1]), "[samples, 5]"],
  ["sum in a layer, kept", (from) => ops.sum(from.rows(5, 2, 3), [-1, 1], true), "[samples, 1, 2, 1]"],
  ["sum of weights in a layer", (from) => ops.sum(from.weights(5, 2), [0]), "[2]"],
  ["transpose, counted from the end", (from) => transpose(from.rows(2, 3), [0, -1, 1]), "[samples, 3, 2]"],
  ["mean", (from) => mean(from.rows(5, 2), [-1], true), "[samples, 5, 1]"],
  ["largest", (from) => largest(from.rows(5, 2), [1]), "[samples, 2]"],
  [
    "conv2d",
    (from) => conv2d(from.rows(3, 9, 8), from.weights(4, 3, 3, 2), undefined, { stride: [2, 3] }),
    "[samples, 4, 4, 3]",
  ],
  ["maxPool", (from) => maxPool(from.rows(3, 9, 8), { kernel: [2, 3] }), "[samples, 3, 4, 2]"],
  ["one-hot", (from) => oneHot(from.labels(), 7), "[samples, 7]"],
  ["cross-entropy", (from) => crossEntropy(from.rows(7), from.labels()), "[samples]"],
];
test.each(shapes)("%s", (_what, build, shape) => expect(describeShape(build(new Sources()).shape)).toBe(shape));

const refusals: readonly (readonly [string, (from: Sources) => unknown, string])[] = [
  ["sizes that differ", (from) => add(from.rows(4), from.weights(5)), "[samples, 4] and [5] differ at axis 1"],
  [
    "samples against a number",
    (from) => add(from.rows(4), from.weights(3, 4)),
    "[samples, 4] and [3, 4] differ at axis 0",
  ],
  [
    "samples that aren't in front",
    (from) => add(from.rows(4), from.weights(2, 1, 1)),
    "has its samples at axis 1, not 0",
  ],
  ["inner sizes", (from) => matmul(from.rows(4), from.weights(5, 6)), "float32 [samples, 4] and float32 [5, 6]"],
  [
    "samples as columns",
    (from) => matmul(from.weights(2, 4), from.rows(4), { transposeRight: true }),
    "float32 [2, 4] and float32 [samples, 4]",
  ],
  [
    "a bias of another size",
    (from) => linear(from.rows(4), from.weights(5, 4), from.weights(4)),
    "bias [out], but was given",
  ],
  ["more than two axes on the right", (from) => matmul(from.rows(4), from.weights(1, 4, 5)), "float32 [1, 4, 5]"],
  [
    "matrices that don't meet",
    (from) => batchMatmul(from.rows(2, 4), from.rows(3, 5)),
    "[samples, 2, 4] and float32 [samples, 3, 5]",
  ],
  [
    "batches that differ",
    (from) => batchMatmul(from.rows(2, 3, 4), from.rows(3, 4, 5)),
    "batchMatmul: [samples, 2] and [samples, 3] differ at axis 1",
  ],
  [
    "samples moved",
    (from) => transpose(from.rows(2, 4), [1, 0, 2]),
    "samples first, but was given float32 [samples, 2, 4]",
  ],
  ["axes twice", (from) => transpose(from.weights(2, 4), [1, 1]), "transpose to axes [1, 1]"],
  [
    "joining samples",
    (from) => concat([from.rows(2), from.rows(2)], 0),
    "concat along axis 0 wants tensors that differ there only",
  ],
  [
    "joining what differs elsewhere",
    (from) => concat([from.rows(2, 4), from.rows(3, 4)]),
    "[samples, 2, 4] and float32 [samples, 3, 4]",
  ],
  ["cutting beyond the end", (from) => slice(from.rows(4), 1, 2, 5), "slice 2 to 5 of axis 1"],
  ["cutting samples", (from) => slice(from.rows(4), 0, 0, 1), "slice 0 to 1 of axis 0"],
  ["padding samples", (from) => pad(from.rows(4), 0, 1, 0), "pad axis 0 by 1 and 0"],
  ["a triangle of rows", (from) => lowerTriangle(from.rows(4)), "lowerTriangle wants one float32 tensor of matrices"],
  ["a table of samples", (from) => lookup(from.rows(4), from.labels()), "lookup wants a float32 table"],
  [
    "sums of other places",
    (from) => sumByRow(from.labels(), from.rows(2, 4), 3),
    "numbers [n, …] and float32 values [n, …, width]",
  ],
  ["norms of other shapes", (from) => normalise(from.weights(4)), "normalise wants float32 rows [n, …, width]"],
  ["means over samples", (from) => mean(from.rows(4), [0]), "mean over axes [0] would mix the samples of [samples, 4]"],
  ["an axis that is not there", (from) => ops.sum(from.rows(4), [-3]), "sum over axes [-3] wants axes of known sizes"],
  ["an axis twice", (from) => largest(from.rows(4), [1, -1]), "largest over axes [1, -1]"],
  [
    "a second derivative of a norm",
    (from) => {
      const x = from.rows(4);
      const [gradient] = gradientsOf(from.builder, sum(power(normalise(x), 3), [0, 1]), [x]);
      return gradientsOf(from.builder, sum(gradient as Tensor, [0, 1]), [x]);
    },
    "normaliseGradient has no derivative",
  ],
  [
    "images without channels",
    (from) => conv2d(from.rows(4, 4), from.weights(1, 1, 2, 2)),
    "float32 [samples, 4, 4] and float32 [1, 1, 2, 2]",
  ],
  [
    "channels that don't meet",
    (from) => conv2d(from.rows(3, 4, 4), from.weights(1, 2, 2, 2)),
    "[samples, 3, 4, 4] and float32 [1, 2, 2, 2]",
  ],
  ["a window of nothing", (from) => averagePool(from.rows(3, 4, 4), { kernel: [0, 2] }), "is no window"],
  ["another number of entries", (from) => reshape(from.rows(4), [{ rows: 1 }, 5]), "reshape to [samples, 5]"],
  ["samples reshaped away", (from) => reshape(from.rows(4), [4]), "reshape to [4]"],
  ["expanding downwards", (from) => expand(from.rows(4), [{ rows: 1 }, 1]), "expand to [samples, 1]"],
  ["axes that aren't there", (from) => sum(from.rows(4), [2]), "sum over axes [2]"],
  ["axes out of order", (from) => sum(from.rows(4), [1, 0]), "axes, ascending"],
  ["keeping the sample axis", (from) => sum(from.rows(4), [0], true), "the sample axis removed"],
  ["labels as numbers", (from) => relu(from.labels()), "relu wants one float32 tensor, but was given int32 [samples]"],
  [
    "numbers as labels",
    (from) => oneHot(from.rows(4), 4),
    "oneHot wants int32 labels [n], but was given float32 [samples, 4]",
  ],
  [
    "scores without columns",
    (from) => crossEntropy(from.rows(), from.labels()),
    "float32 [samples] and int32 [samples]",
  ],
  ["softmax of a vector", (from) => softmax(from.weights(4)), "softmax wants one float32 tensor [n, …, classes]"],
  ["a constant with other numbers", (from) => from.builder.constant([3], [1, 2]), "2 numbers do not fill [3]"],
  ["sizes of zero", (from) => from.weights(0), "not a shape of positive, bounded sizes"],
  ["sizes beyond bounds", (from) => from.weights(2 ** 20, 2 ** 20), "not a shape of positive, bounded sizes"],
  ["values of two graphs", (from) => add(from.rows(4), new Sources().rows(4)), "belongs to another graph"],
];
test.each(refusals)("refuses %s", (_what, build, message) => expect(() => build(new Sources())).toThrow(message));

test("equal values are made once, and what no output needs is left out", () => {
  const builder = new GraphBuilder();
  const x = builder.input("x", { kind: "features" }, [{ rows: 1 }, 2]);
  builder.input("unused", { kind: "targets" }, [{ rows: 1 }]);
  expect(relu(x)).toBe(relu(x));
  softmax(x);
  const graph = builder.build({ left: relu(x), right: relu(x) });
  expect(graph.values.map(({ operation }) => operation)).toEqual(["input", "relu"]);
  expect(graph.inputs.map(({ name }) => name)).toEqual(["x"]);
  expect(graph.outputs).toEqual([
    { name: "left", value: 1 },
    { name: "right", value: 1 },
  ]);
});

test("known numbers are computed while the graph is built", () => {
  const from = new Sources();
  const x = from.rows(2);
  const one = from.builder.uniform([], 1);
  expect(multiply(x, one)).toBe(x);
  expect(add(from.builder.uniform([2], 0), x)).toBe(x);
  expect(scale(scale(x, 3), 2)).toBe(scale(x, 6));
  expect(sum(expand(one, [{ rows: 1 }, 5]), [1]).attributes).toEqual({ shape: [{ rows: 1 }], value: 5 });
  expect(add(from.builder.uniform([2], 3), from.builder.uniform([{ rows: 1 }, 1], 4)).attributes).toEqual({
    shape: [{ rows: 1 }, 2],
    value: 7,
  });
});

test.each([
  ["no bound", -Infinity, Infinity, ["input"]],
  ["one below", 0, Infinity, ["maximum", "input", "fill"]],
  ["one above", -Infinity, 1, ["minimum", "input", "fill"]],
])("clamp with %s leaves out what is infinite", (_, least, most, operations) => {
  const namesOf = ({ operation, inputs }: Tensor): string[] => [operation.name, ...inputs.flatMap(namesOf)];
  expect(namesOf(clamp(new Sources().rows(4), least, most))).toEqual(operations);
});

test.each([Infinity, -Infinity, NaN])(
  "a tensor of %d everywhere is refused with a sentence, and not taken for another",
  (value) => {
    const x = new Sources().rows(4);
    for (const build of [() => fill(x, [4], value), () => scale(x, value), () => offset(x, value)])
      expect(build).toThrow(
        expect.objectContaining({
          code: "CONFIG_INVALID",
          message: `fill: found ${value}, expected a finite number`,
          hint: expect.stringContaining("finite"),
        }),
      );
  },
);

test("bounds that nothing can be within are refused", () => {
  expect(() => clamp(new Sources().rows(4), Infinity, Infinity)).toThrow("fill: found Infinity");
  expect(() => clamp(new Sources().rows(4), NaN, 1)).toThrow("fill: found NaN");
});
