/**
 * Random graphs, of one to eight operations each, from seeds of fast-check: gradients against central differences of the
 * float64 reference, and the engine against the reference. Smooth operations only: at a kink a difference is no derivative.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { onnxRuntimeEngine } from "../../../shared/engine/onnxruntime.ts";
import { evaluateProgram } from "../../../shared/engine/reference.ts";
import { gradientsOf } from "../../../shared/graph/autodiff.ts";
import { fuse } from "../../../shared/graph/fuse.ts";
import type { Graph } from "../../../shared/graph/graph.ts";
import type { Tensor } from "../../../shared/graph/operation.ts";
import { add, divide, multiply, offset, scale, subtract } from "../../../shared/graph/operations/arithmetic.ts";
import { concat, pad, slice, swapLast } from "../../../shared/graph/operations/arrange.ts";
import { averagePool } from "../../../shared/graph/operations/average-pool.ts";
import { batchMatmul } from "../../../shared/graph/operations/batch-matmul.ts";
import { reshape, sum } from "../../../shared/graph/operations/broadcast.ts";
import { conv2d } from "../../../shared/graph/operations/convolution.ts";
import { erf, exp, sigmoid, softplus, tanh } from "../../../shared/graph/operations/elementwise.ts";
import { linear } from "../../../shared/graph/operations/matmul.ts";
import { normalise, scaleToUnit } from "../../../shared/graph/operations/normalise.ts";
import { mean } from "../../../shared/graph/operations/reduce.ts";
import { logSoftmax, softmax } from "../../../shared/graph/operations/softmax.ts";
import type { Dim } from "../../../shared/graph/values.ts";
import { product } from "../../../shared/shape.ts";
import { Sources } from "../../support/operations.ts";
import { runOnce, someNumbers, summed } from "../../support/programs.ts";

const samples = 4;
const seed = 20_261_125;

/** x is [samples, a, b]; so is what comes out, with any a and b. */
type Move = (x: Tensor, from: Sources, size: number) => Tensor;

const sizesOf = (x: Tensor): readonly [Dim, number, number] => x.shape as readonly [Dim, number, number];

const moves: Readonly<Record<string, Move>> = {
  tanh: (x) => tanh(x),
  sigmoid: (x) => sigmoid(x),
  erf: (x) => erf(x),
  softplus: (x) => softplus(x),
  exp: (x) => exp(scale(tanh(x), 0.5)),
  softmax: (x) => softmax(x),
  softmaxOfColumns: (x) => softmax(x, 1),
  logSoftmax: (x) => scale(logSoftmax(x), 0.3),
  normalise: (x) => normalise(x, 0.1),
  scaleToUnit: (x) => scaleToUnit(x, 0.1),
  branch: (x) => add(x, tanh(x)),
  product: (x) => multiply(x, sigmoid(x)),
  quotient: (x) => divide(x, offset(multiply(x, x), 1)),
  centred: (x) => subtract(x, mean(x, [2], true)),
  scaledBySum: (x) => multiply(x, scale(sum(x, [1, 2], true), 0.1)),
  transposed: (x) => swapLast(x),
  twice: (x) => concat([x, scale(x, 0.5)], 1),
  bordered: (x) => pad(x, -1, 1, 0),
  cut: (x) => (sizesOf(x)[1] > 1 ? slice(x, 1, 1, sizesOf(x)[1]) : x),
  linear: (x, from, size) => linear(x, from.weights(size, sizesOf(x)[2]), from.weights(size)),
  biased: (x, from) => add(x, from.weights(sizesOf(x)[2])),
  gram: (x) => scale(batchMatmul(x, swapLast(x)), 1 / sizesOf(x)[2]),
  convolved(x, from, size) {
    const [rows, height, width] = sizesOf(x);
    const kernel = [Math.min(2, height), Math.min(3, width)] as const;
    const y = conv2d(reshape(x, [rows, 1, height, width]), from.weights(size, 1, ...kernel), from.weights(size));
    const [, channels, newHeight, newWidth] = y.shape as readonly [Dim, number, number, number];
    return reshape(y, [rows, channels, newHeight * newWidth]);
  },
  pooled(x) {
    const [rows, height, width] = sizesOf(x);
    const y = averagePool(reshape(x, [rows, 1, height, width]), {
      kernel: [Math.min(2, height), Math.min(2, width)],
      stride: [1, 1],
    });
    return reshape(y, [rows, ...(y.shape.slice(2) as number[])]);
  },
};

/** Tensors grow by some moves; beyond this size they are cut back. */
const LARGEST = 24;

function graphOf(steps: readonly (readonly [name: string, size: number])[]): Graph {
  const from = new Sources();
  let x = from.rows(3, 4);
  for (const [name, size] of steps) {
    x = (moves[name] as Move)(x, from, size);
    const [, height, width] = sizesOf(x);
    if (height * width > LARGEST) x = slice(slice(x, 1, 0, Math.min(height, 4)), 2, 0, Math.min(width, 6));
  }
  const total = sum(multiply(x, x), [0, 1, 2]);
  const gradients = gradientsOf(from.builder, total, from.made);
  const named = gradients.map((gradient, place) => [`gradient:input${place}`, gradient] as const);
  return from.builder.build({ total, ...Object.fromEntries(named) });
}

const graphs = fc.array(fc.tuple(fc.constantFrom(...Object.keys(moves)), fc.integer({ min: 1, max: 4 })), {
  minLength: 1,
  maxLength: 8,
});

const inputsOf = (graph: Graph): Record<string, Float64Array> =>
  Object.fromEntries(
    fuse(graph, [samples]).inputs.map(({ name, shape }, place) => [
      name,
      Float64Array.from(someNumbers(product(shape), place + 11)),
    ]),
  );

test("gradients are slopes", () => {
  fc.assert(
    fc.property(graphs, (steps) => {
      const graph = graphOf(steps);
      const program = fuse(graph, [samples]);
      const inputs = inputsOf(graph);
      const totalNow = (): number => evaluateProgram(program, inputs, "float64")["total"]?.[0] as number;
      const derived = evaluateProgram(program, inputs, "float64");
      for (const [name, array] of Object.entries(inputs)) {
        // Along one direction for each input: as telling as entry by entry, and quick.
        const direction = someNumbers(array.length, 5);
        const at = Float64Array.from(array);
        const shifted = (by: number): number => {
          array.set(at.map((value, entry) => value + by * (direction[entry] as number)));
          return totalNow();
        };
        const delta = 1e-4;
        // Five points: the error is of the fourth order in delta.
        const slope =
          (shifted(-2 * delta) - 8 * shifted(-delta) + 8 * shifted(delta) - shifted(2 * delta)) / (12 * delta);
        array.set(at);
        const gradient = derived[`gradient:${name}`] as Float64Array;
        const along = gradient.reduce((total, value, entry) => total + value * (direction[entry] as number), 0);
        const size = gradient.reduce(
          (total, value, entry) => total + Math.abs(value * (direction[entry] as number)),
          0,
        );
        expect(Math.abs(along - slope), `${name}: ${along}, not ${slope}`).toBeLessThan(1e-7 * (1 + size));
      }
    }),
    { seed, numRuns: 300 },
  );
});

test("the engine computes what the reference computes", async () => {
  const engine = onnxRuntimeEngine();
  await fc.assert(
    fc.asyncProperty(graphs, async (steps) => {
      const graph = graphOf(steps);
      const program = fuse(graph, [2, 2]);
      const inputs = inputsOf(graph);
      const actual = await runOnce(engine, program, inputs);
      const wanted = summed(program, evaluateProgram(program, inputs, "float64"));
      // What cancels, as a bias before a mean is taken away, is as exact as what it cancels from: inputs are about 1.
      const largest = Math.max(1, ...Object.values(wanted).flatMap((values) => [...values].map(Math.abs)));
      for (const { name } of graph.outputs) {
        const expected = wanted[name] as Float64Array;
        const size = Math.max(0.1 * largest, ...expected.map(Math.abs));
        actual[name]?.forEach((value, entry) => {
          const error = Math.abs(value - (expected[entry] as number));
          expect(error, `${name}[${entry}]: ${value}, not ${expected[entry]}`).toBeLessThanOrEqual(1e-5 * size);
        });
      }
    }),
    { seed, numRuns: 300 },
  );
});
