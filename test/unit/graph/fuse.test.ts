/**
 * Fusing: what runs once and what runs for every shard, and that the bits are those of one program per shard, added along
 * the canonical tree, for whole training graphs on the real engine.
 */
import { describe, expect, test } from "vitest";
import { fuse } from "../../../shared/graph/fuse.ts";
import { multiply } from "../../../shared/graph/operations/arithmetic.ts";
import { expand, sum, sumSamples } from "../../../shared/graph/operations/broadcast.ts";
import { relu, softplus } from "../../../shared/graph/operations/elementwise.ts";
import type { Program } from "../../../shared/graph/program.ts";
import { compileModel } from "../../../shared/nn/model.ts";
import { numbersFor, onEngines } from "../../support/networks.ts";
import { Sources } from "../../support/operations.ts";
import { runOnce, treeSum } from "../../support/programs.ts";

const kinds = ({ steps }: Program): string[] =>
  steps.map((step) => (step.kind === "operation" ? step.operation : step.kind));

describe("a program", () => {
  test("runs rows once, and sums for every shard, which each gives as its term", () => {
    const from = new Sources();
    const total = sumSamples(relu(from.rows(3)));
    const program = fuse(from.builder.build({ total, "total/1": total }), [2, 2, 2]);
    expect(kinds(program)).toEqual(["relu", "split", "sum", "sum", "sum"]);
    expect(program.outputs.map(({ name, output, shard, shape }) => [name, output, shard, shape])).toEqual([
      ["total", "total", 0, [3]],
      ["total/1_", "total", 1, [3]],
      ["total/2", "total", 2, [3]],
      ["total/1", "total/1", 0, [3]],
      ["total/1/1", "total/1", 1, [3]],
      ["total/1/2", "total/1", 2, [3]],
    ]);
  });

  test("of one shard is the graph itself", () => {
    const from = new Sources();
    const graph = from.builder.build({ rows: softplus(relu(from.rows(3))) });
    expect(kinds(fuse(graph, [6]))).toEqual(["relu", "softplus"]);
  });

  test("runs what isn't independent on every shard and joins it for what is", () => {
    const from = new Sources();
    const graph = from.builder.build({ rows: relu(softplus(softplus(from.rows(3)))) });
    expect(kinds(fuse(graph, [2, 3]))).toEqual([
      "split",
      "softplus",
      "softplus",
      "softplus",
      "softplus",
      "concat",
      "relu",
    ]);
  });

  test("computes what depends on no sample once, and gives it to every shard", () => {
    const from = new Sources();
    const weight = relu(from.weights(3));
    const graph = from.builder.build({ total: multiply(sumSamples(from.rows(3)), weight) });
    expect(kinds(fuse(graph, [2, 2]))).toEqual(["relu", "split", "sum", "sum", "multiply", "multiply"]);
  });

  test("keeps a shard's sums with the shard when its rows use them", () => {
    const from = new Sources();
    const x = from.rows(3);
    const graph = from.builder.build({ rows: multiply(x, expand(sum(x, [0]), x.shape)) });
    expect(kinds(fuse(graph, [2, 2]))).toEqual(["split", "sum", "sum", "expand", "expand", "concat", "multiply"]);
  });

  test.each([[[]], [[0, 2]], [[1.5]], [[-1]]])("refuses shards of %j", (sizes) => {
    const from = new Sources();
    expect(() => fuse(from.builder.build({ x: relu(from.rows(1)) }), sizes)).toThrow("sizes are positive integers");
  });
});

const shardings = [
  [13, 13, 12, 12],
  [16, 16, 16, 16],
  [3, 3, 3, 2, 2, 2],
  [3, 2],
  [17, 17, 16, 16, 16, 16, 16, 16],
];

const total = (sizes: readonly number[]): number => sizes.reduce((left, right) => left + right, 0);

describe.each(onEngines)("the bits of $engine.name", ({ engine, over }) => {
  test.each(over)("%s", async (_name, spec) => {
    const { train } = compileModel(spec);
    for (const shards of shardings) {
      const samples = total(shards);
      const numbers = numbersFor(train, samples);
      const fused = await runOnce(engine, fuse(train, shards), numbers);
      const apart: Record<string, Float32Array>[] = [];
      for (const [shard, size] of shards.entries()) {
        const start = total(shards.slice(0, shard));
        const program = fuse(train, [size]);
        const own = train.inputs.map(({ name, kind }) => {
          const all = numbers[name] as Float32Array;
          const width = all.length / samples;
          return [name, kind === "parameter" ? all : all.subarray(start * width, (start + size) * width)] as const;
        });
        apart.push(await runOnce(engine, program, Object.fromEntries(own)));
      }
      for (const { name } of train.outputs) {
        const wanted = treeSum(apart.map((outputs) => outputs[name] as Float32Array));
        expect(
          new Uint32Array(Float32Array.from(fused[name] as Float32Array).buffer),
          `${name} over ${shards.join("+")}`,
        ).toEqual(new Uint32Array(Float32Array.from(wanted).buffer));
      }
    }
  });
});
