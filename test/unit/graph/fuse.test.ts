/**
 * Fusing: what runs once and what runs for every shard, and that the bits are those of one program per shard, added along
 * the canonical tree, for whole training graphs on the real engine.
 */
import { describe, expect, test } from "vitest";
import { onnxRuntimeEngine } from "../../../shared/engine/onnxruntime.ts";
import { referenceEngine } from "../../../shared/engine/reference.ts";
import { fuse } from "../../../shared/graph/fuse.ts";
import type { Graph } from "../../../shared/graph/graph.ts";
import { multiply } from "../../../shared/graph/operations/arithmetic.ts";
import { expand, sum, sumSamples } from "../../../shared/graph/operations/broadcast.ts";
import { relu, softplus } from "../../../shared/graph/operations/elementwise.ts";
import type { Program } from "../../../shared/graph/program.ts";
import { product } from "../../../shared/graph/values.ts";
import { activations, type Activation } from "../../../shared/nn/activations.ts";
import { compileModel } from "../../../shared/nn/model.ts";
import type { LayerSpec, ModelSpec } from "../../../shared/nn/spec.ts";
import { Sources } from "../../support/operations.ts";
import { runOnce, someNumbers, treeSum } from "../../support/programs.ts";

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

/** A network of odd widths with everything in it. */
const network = (
  activation: Activation,
  loss: ModelSpec["loss"],
  widths: readonly number[],
  dropout = false,
): ModelSpec => {
  const outputs = widths.at(-1) ?? 0;
  return {
    inputShape: [widths[0] as number],
    target: loss.kind === "crossEntropy" ? { kind: "class", classes: outputs } : { kind: "values", width: outputs },
    layers: widths
      .slice(1)
      .flatMap((units, place): LayerSpec[] => [
        ...(dropout && place > 0 ? [{ kind: "dropout", rate: 0.5 } as const] : []),
        { kind: "dense", units, ...(place < widths.length - 2 ? { activation } : {}) },
      ]),
    loss,
  };
};

const images = (inputShape: readonly number[], layers: readonly LayerSpec[]): ModelSpec => ({
  inputShape,
  target: { kind: "class", classes: 10 },
  layers,
  loss: { kind: "crossEntropy" },
});

const networks: readonly (readonly [string, ModelSpec])[] = [
  ...Object.keys(activations).map(
    (name) => [name, network(name as Activation, { kind: "crossEntropy" }, [33, 10, 7])] as const,
  ),
  ["label smoothing and dropout", network("relu", { kind: "crossEntropy", labelSmoothing: 0.1 }, [33, 17, 10], true)],
  ["binary cross-entropy", network("silu", { kind: "binaryCrossEntropy" }, [10, 7, 3])],
  ["binary cross-entropy of one output", network("tanh", { kind: "binaryCrossEntropy" }, [10, 7, 1])],
  ["mean squared error of one output", network("relu", { kind: "meanSquaredError" }, [7, 33, 1])],
  ["one input", network("gelu", { kind: "meanSquaredError" }, [1, 5, 2])],
  [
    "convolutions of odd sizes",
    images(
      [2, 9, 11],
      [
        { kind: "conv2d", filters: 3, kernel: 3, padding: 1, activation: "relu" },
        { kind: "maxPool", size: 3, stride: 2, padding: 1 },
        { kind: "conv2d", filters: 6, kernel: [3, 2], groups: 3, stride: [1, 2], activation: "gelu" },
        { kind: "averagePool", size: 2 },
        { kind: "dense", units: 10 },
      ],
    ),
  ],
  [
    "the convolutional network of MNIST",
    images(
      [28, 28],
      [
        { kind: "conv2d", filters: 32, kernel: 3, activation: "relu" },
        { kind: "maxPool", size: 2 },
        { kind: "conv2d", filters: 64, kernel: 3, activation: "relu" },
        { kind: "maxPool", size: 2 },
        { kind: "dense", units: 128, activation: "relu" },
        { kind: "dense", units: 10 },
      ],
    ),
  ],
  [
    "attention and norms of odd sizes",
    images(
      [5, 12],
      [
        { kind: "groupNorm", groups: 5 },
        { kind: "residual", layers: [{ kind: "layerNorm" }, { kind: "selfAttention", heads: 3, causal: true }] },
        {
          kind: "residual",
          layers: [
            { kind: "rmsNorm" },
            { kind: "linear", units: 21, activation: "gelu" },
            { kind: "dropout", rate: 0.5 },
            { kind: "linear", units: 12 },
          ],
        },
        { kind: "dense", units: 10 },
      ],
    ),
  ],
  [
    "a transformer's block with a label at every position",
    {
      ...images(
        [16, 64],
        [
          { kind: "positionEmbedding" },
          { kind: "residual", layers: [{ kind: "layerNorm" }, { kind: "selfAttention", heads: 4, causal: true }] },
          {
            kind: "residual",
            layers: [
              { kind: "layerNorm" },
              { kind: "linear", units: 256, activation: "gelu" },
              { kind: "linear", units: 64 },
            ],
          },
          { kind: "layerNorm" },
          { kind: "linear", units: 10 },
        ],
      ),
      target: { kind: "class", classes: 10, positions: 16 },
    },
  ],
  ["wide layers, whose products are cut into blocks", network("relu", { kind: "crossEntropy" }, [784, 300, 130, 10])],
];

const total = (sizes: readonly number[]): number => sizes.reduce((left, right) => left + right, 0);

function numbersFor(graph: Graph, samples: number): Record<string, Float32Array> {
  const program = fuse(graph, [samples]);
  return Object.fromEntries(
    program.inputs.map(({ name, shape, dtype }, place) => {
      const numbers = someNumbers(product(shape), place + 1);
      return [name, dtype === "int32" ? numbers.map((_, row) => row % 7) : numbers];
    }),
  );
}

// Plain loops over 784 inputs take long.
const narrow = networks.filter(([, { inputShape }]) => ![784, 28, 16].includes(inputShape[0] as number));

describe.each([
  { engine: onnxRuntimeEngine(), over: networks },
  { engine: referenceEngine("float32"), over: narrow },
])("the bits of $engine.name", ({ engine, over }) => {
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
