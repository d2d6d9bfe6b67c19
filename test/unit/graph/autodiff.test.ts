/** Derivatives against central differences of the float64 reference, for every operation and for compositions. */
import { describe, expect, test } from "vitest";
import { evaluateProgram } from "../../../shared/engine/reference.ts";
import { gradientsOf } from "../../../shared/graph/autodiff.ts";
import { fuse } from "../../../shared/graph/fuse.ts";
import type { Graph } from "../../../shared/graph/graph.ts";
import type { Tensor } from "../../../shared/graph/operation.ts";
import { add, multiply, scale, subtract } from "../../../shared/graph/operations/arithmetic.ts";
import { sum, sumSamples } from "../../../shared/graph/operations/broadcast.ts";
import { relu } from "../../../shared/graph/operations/elementwise.ts";
import { activations } from "../../../shared/nn/activations.ts";
import { product } from "../../../shared/shape.ts";
import { examples, Sources } from "../../support/operations.ts";
import { someNumbers, summed } from "../../support/programs.ts";

const samples = 3;
const delta = 1e-5;

/** Compares the gradients of Σ(output + output²) with differences, for every entry of every float input. */
function expectDerivatives(build: (from: Sources) => Tensor, positive = false): void {
  const from = new Sources();
  const output = build(from);
  const total = sum(
    add(multiply(output, output), output),
    output.shape.map((_, axis) => axis),
  );
  const gradients = gradientsOf(from.builder, total, from.made);
  const graph: Graph = from.builder.build({
    total,
    ...Object.fromEntries(from.made.map((_, place) => [`input${place}`, gradients[place] as Tensor])),
  });
  const program = fuse(graph, [samples]);
  const inputs = Object.fromEntries(
    program.inputs.map(({ name, shape, dtype }, place) => {
      const numbers = [...someNumbers(product(shape), place + 3)];
      const wanted = numbers.map((number) => (positive ? Math.abs(number) + 0.5 : number));
      return [name, dtype === "int32" ? Int32Array.from(numbers, (_, row) => row % 3) : Float64Array.from(wanted)];
    }),
  );
  const totalNow = (): number => evaluateProgram(program, inputs, "float64")["total"]?.[0] as number;
  const derived = evaluateProgram(program, inputs, "float64");
  for (const [name, array] of Object.entries(inputs)) {
    if (array instanceof Int32Array) continue;
    array.forEach((value, entry) => {
      array[entry] = value + delta;
      const above = totalNow();
      array[entry] = value - delta;
      const below = totalNow();
      array[entry] = value;
      const difference = (above - below) / (2 * delta);
      const gradient = derived[name]?.[entry] as number;
      expect(Math.abs(gradient - difference), `${name}[${entry}]: ${gradient}, not ${difference}`).toBeLessThan(
        1e-7 * (1 + Math.abs(difference)),
      );
    });
  }
}

describe("every operation's derivative is the slope", () => {
  test.each(examples.filter(({ isWide }) => isWide !== true))("$title", ({ output, positive }) =>
    expectDerivatives((from) => output(from, 5), positive),
  );
});

describe("every activation's derivative is the slope", () => {
  test.each(Object.entries(activations))("%s", (_name, activation) =>
    expectDerivatives((from) => activation(from.rows(6))),
  );
});

test("a value used several times receives the sum of its gradients", () => {
  expectDerivatives((from) => {
    const x = from.rows(4);
    const shared = multiply(x, from.weights(4));
    return add(multiply(shared, shared), subtract(shared, scale(x, 3)));
  });
});

test("a value that nothing uses has a gradient of zeros", () => {
  const from = new Sources();
  const [used, unused] = [from.weights(3), from.weights(2, 2)];
  const gradients = gradientsOf(from.builder, sumSamples(sum(multiply(from.rows(3), used), [1])), [used, unused]);
  const program = fuse(from.builder.build({ unused: gradients[1] as Tensor, used: gradients[0] as Tensor }), [2, 2]);
  const given = { input2: Float64Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12) };
  expect(summed(program, evaluateProgram(program, given, "float64"))).toEqual({
    unused: Float64Array.of(0, 0, 0, 0),
    used: Float64Array.of(22, 26, 30),
  });
});

test("nothing is computed for inputs whose gradient isn't wanted", () => {
  const from = new Sources();
  const [features, weight] = [from.rows(4), from.weights(4)];
  const total = sum(relu(multiply(features, weight)), [0, 1]);
  const [gradient] = gradientsOf(from.builder, total, [weight]);
  const graph = from.builder.build({ gradient: gradient as Tensor });
  expect(graph.values.map(({ operation }) => operation)).toEqual([
    "input",
    "input",
    "multiply",
    "relu",
    "step",
    "multiply",
    "sum",
  ]);
});

test("only a scalar has gradients", () => {
  const from = new Sources();
  expect(() => gradientsOf(from.builder, from.rows(2), [])).toThrow("not of [samples, 2]");
});
