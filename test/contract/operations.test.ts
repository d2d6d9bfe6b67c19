/**
 * What every operation of the registry promises, on the real engine: it computes what its reference evaluation computes;
 * one call over many shards gives the bits of one call per shard; and rows that are called independent keep their bits
 * wherever they stand in the batch. Widths are odd on purpose: rows then start at every alignment.
 */
import { describe, expect, test } from "vitest";
import { onnxRuntimeEngine } from "../../shared/engine/onnxruntime.ts";
import { evaluateProgram } from "../../shared/engine/reference.ts";
import { gradientsOf } from "../../shared/graph/autodiff.ts";
import { fuse } from "../../shared/graph/fuse.ts";
import type { Graph, Value } from "../../shared/graph/graph.ts";
import { add, multiply } from "../../shared/graph/operations/arithmetic.ts";
import { sum } from "../../shared/graph/operations/broadcast.ts";
import { operations } from "../../shared/graph/operations/registry.ts";
import { rowsOf, type Shape } from "../../shared/graph/values.ts";
import { product } from "../../shared/shape.ts";
import { type Example, examples, Sources } from "../support/operations.ts";
import { runOnce, someNumbers, summed, treeSum } from "../support/programs.ts";

const engine = onnxRuntimeEngine();
const widths = [7, 10, 33];
const shardings = [
  [13, 13, 12, 12],
  [2, 3],
  [16, 16, 16, 16],
  [3, 3, 3, 3, 2, 2, 2],
];

const total = (sizes: readonly number[]): number => sizes.reduce((left, right) => left + right, 0);
const isLabels = (graph: Graph, value: number): boolean => graph.values[value]?.dtype === "int32";

/** The example's output and the gradients of a scalar of it with respect to every float input. */
function graphOf(example: Example, width: number): Graph {
  const from = new Sources();
  const output = example.output(from, width);
  const scalar = sum(
    add(multiply(output, output), output),
    output.shape.map((_, axis) => axis),
  );
  const gradients = gradientsOf(from.builder, scalar, from.made);
  return from.builder.build({
    output,
    ...Object.fromEntries(gradients.map((gradient, place) => [`gradient${place}`, gradient])),
  });
}

function numbersFor(graph: Graph, example: Example, samples: number, width: number): Record<string, number[]> {
  return Object.fromEntries(
    graph.inputs.map(({ name, value }, place) => {
      const { shape } = graph.values[value] as Value;
      const count = product(shape.map((dim) => (typeof dim === "object" ? dim.rows * samples : dim)));
      const numbers = [...someNumbers(count, place + 1)].map((number) =>
        example.positive ? Math.abs(number) + 0.1 : number * 3,
      );
      return [name, isLabels(graph, value) ? numbers.map((_, row) => (row * 5) % width) : numbers];
    }),
  );
}

const entriesPerSample = (shape: Shape): number =>
  product(shape.map((dim) => (typeof dim === "object" ? dim.rows : dim)));

/** Feeds for some samples only; weights stay whole. */
function select(graph: Graph, numbers: Record<string, number[]>, samples: readonly number[]): Record<string, number[]> {
  return Object.fromEntries(
    graph.inputs.map(({ name, value }) => {
      const { shape } = graph.values[value] as Value;
      const own = numbers[name] as number[];
      if (rowsOf(shape) === undefined) return [name, own];
      const size = entriesPerSample(shape);
      return [name, samples.flatMap((sample) => own.slice(sample * size, (sample + 1) * size))];
    }),
  );
}

const range = (start: number, end: number): number[] =>
  Array.from({ length: end - start }, (_, place) => start + place);
const bitsOf = (array: Float32Array): Uint32Array => new Uint32Array(Float32Array.from(array).buffer);

/** The first float whose bits are not the wanted ones; undefined where there is none. */
function differenceOf(actual: Float32Array, wanted: Float32Array): string | undefined {
  if (actual.length !== wanted.length) return `${actual.length} floats, not ${wanted.length}`;
  const [found, right] = [bitsOf(actual), bitsOf(wanted)];
  const at = found.findIndex((bits, entry) => bits !== right[entry]);
  return at < 0 ? undefined : `float ${at} is ${actual[at]}, not ${wanted[at]}`;
}

test("every operation has an example", () => {
  expect([...new Set(examples.map(({ operation }) => operation))].sort()).toEqual([...operations.keys()].sort());
  for (const example of examples) {
    const used = graphOf(example, 7).values.map(({ operation }) => operation);
    expect(used, example.title).toContain(example.operation);
  }
});

describe.each(examples)("$title", (example) => {
  test.each(widths)("computes what the reference computes, width %i", async (width) => {
    const graph = graphOf(example, width);
    const program = fuse(graph, [13, 12]);
    const numbers = numbersFor(graph, example, 25, width);
    const actual = await runOnce(engine, program, numbers);
    const rounded = Object.fromEntries(
      Object.entries(numbers).map(([name, values]) => [name, Float64Array.from(values, Math.fround)]),
    );
    const wanted = summed(program, evaluateProgram(program, rounded, "float64"));
    for (const { name } of graph.outputs) {
      const right = wanted[name] as Float64Array;
      const scale = right.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-30);
      const isOff = (value: number, entry: number): boolean =>
        !(Math.abs(value - right[entry]!) <= 2e-6 * Math.abs(right[entry]!) + 1e-6 * scale);
      const found = actual[name] as Float32Array;
      expect(found.length, name).toBe(right.length);
      const wrong = found.findIndex(isOff);
      expect(wrong, `${name}[${wrong}] = ${found[wrong]}, not ${right[wrong]}`).toBe(-1);
    }
  });

  test.each(widths)("gives the bits of one call per shard, width %i", async (width) => {
    const graph = graphOf(example, width);
    for (const shards of shardings) {
      const numbers = numbersFor(graph, example, total(shards), width);
      const fused = await runOnce(engine, fuse(graph, shards), numbers);
      const apart: Record<string, Float32Array>[] = [];
      for (const [shard, size] of shards.entries()) {
        const start = total(shards.slice(0, shard));
        apart.push(await runOnce(engine, fuse(graph, [size]), select(graph, numbers, range(start, start + size))));
      }
      for (const { name, value } of graph.outputs) {
        const parts = apart.map((outputs) => outputs[name] as Float32Array);
        const rows = rowsOf((graph.values[value] as Value).shape) !== undefined;
        const wanted = rows ? Float32Array.from(parts.flatMap((part) => [...part])) : treeSum(parts);
        expect(differenceOf(fused[name] as Float32Array, wanted), `${name} over ${shards.join("+")}`).toBeUndefined();
      }
    }
  });
});

/** Examples whose output has rows that are called independent. */
const independent = examples.filter((example) => {
  const rows = rowsOf(example.output(new Sources(), 7).shape) !== undefined;
  return rows && operations.get(example.operation)?.rows === "independent";
});

describe.each(independent)("$title", (example) => {
  test.each(widths)("keeps the bits of a row wherever it stands, width %i", async (width) => {
    const from = new Sources();
    const output = example.output(from, width);
    const graph = from.builder.build({ output });
    const size = entriesPerSample(output.shape);
    const samples = 37;
    const numbers = numbersFor(graph, example, samples, width);
    const usual = (await runOnce(engine, fuse(graph, [samples]), numbers))["output"] as Float32Array;
    for (const [first, count] of [
      [1, 36],
      [5, 2],
      [3, 13],
      [11, 23],
    ] as const) {
      const chosen = range(first, first + count);
      const moved = (await runOnce(engine, fuse(graph, [count]), select(graph, numbers, chosen)))[
        "output"
      ] as Float32Array;
      const there = usual.subarray(first * size, (first + count) * size);
      expect(differenceOf(moved, there), `samples ${first} to ${first + count}`).toBeUndefined();
    }
  });
});
