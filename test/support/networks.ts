/** Networks of odd sizes with everything in them, on which engines and programs are tried. */
import { onnxRuntimeEngine } from "../../shared/engine/onnxruntime.ts";
import { referenceEngine } from "../../shared/engine/reference.ts";
import { fuse } from "../../shared/graph/fuse.ts";
import type { Graph } from "../../shared/graph/graph.ts";
import { activations, type Activation } from "../../shared/nn/activations.ts";
import type { LayerSpec, ModelSpec } from "../../shared/nn/spec.ts";
import { product } from "../../shared/shape.ts";
import { someNumbers } from "./programs.ts";

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

/** Those without many inputs, over which plain loops take long. */
const narrow = networks.filter(([, { inputShape }]) => ![784, 28, 16].includes(inputShape[0] as number));

/** Each engine, and the networks that are tried on it. */
export const onEngines = [
  { engine: onnxRuntimeEngine(), over: networks },
  { engine: referenceEngine("float32"), over: narrow },
];

/** Numbers for all that a graph is fed, over so many samples. */
export function numbersFor(graph: Graph, samples: number): Record<string, Float32Array> {
  const program = fuse(graph, [samples]);
  return Object.fromEntries(
    program.inputs.map(({ name, shape, dtype }, place) => {
      const numbers = someNumbers(product(shape), place + 1);
      return [name, dtype === "int32" ? numbers.map((_, row) => row % 7) : numbers];
    }),
  );
}
