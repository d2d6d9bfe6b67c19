/**
 * The networks every benchmark uses, so that figures can be compared. All train with plain SGD: on MNIST, or a transformer on the
 * bytes of a text, of which it learns the next at every position.
 */
import { fileURLToPath } from "node:url";
import type { TrainConfig } from "../../coordinator/config/resolve.ts";

export interface Workload {
  readonly name: string;
  readonly widths: readonly number[];
  /** Filters of 3 × 3 convolutions before the dense layers, each followed by ReLU and a 2 × 2 pool. */
  readonly convolutions?: readonly number[];
  /** In place of the other layers, between an embedding and a linear layer of `widths`. */
  readonly transformer?: Transformer;
  /** Samples in a global minibatch. */
  readonly batch: number;
  /** Steps of one round, with those that warm up. */
  readonly steps: number;
}

/** Blocks of causal self-attention and two linear layers with GELU, each behind a layer norm and around a residual. */
interface Transformer {
  readonly blocks: number;
  readonly heads: number;
  readonly width: number;
  /** Tokens of a sample. */
  readonly length: number;
}

/** The text of the transformer: this repository's README. */
export const textFile = fileURLToPath(new URL("../../README.md", import.meta.url));

export const workloads: readonly Workload[] = [
  { name: "S", widths: [784, 64, 10], batch: 128, steps: 8_000 },
  { name: "M", widths: [784, 1024, 1024, 10], batch: 512, steps: 350 },
  { name: "L", widths: [784, 4096, 4096, 10], batch: 1024, steps: 20 },
  { name: "C", convolutions: [32, 64], widths: [784, 128, 10], batch: 128, steps: 110 },
  { name: "T", transformer: { blocks: 2, heads: 4, width: 64, length: 64 }, widths: [256, 256], batch: 32, steps: 110 },
];

export const LEARNING_RATE = 0.05;

const trainSamples = 60_000;

export const titleOf = ({ name, widths, convolutions = [], transformer, batch }: Workload): string => {
  if (transformer !== undefined) {
    const { blocks, heads, width, length } = transformer;
    return `${name} transformer of ${blocks} blocks, width ${width}, ${heads} heads, ${length} tokens at ${batch}`;
  }
  const filters = convolutions.map((count) => `conv ${count}, pool`);
  return `${name} ${[...filters, widths.slice(filters.length > 0 ? 1 : 0).join("-")].join(", ")} at ${batch}`;
};

/** The first steps of a round, which fill caches, compile code and open sockets, are not timed. */
export const warmUpOf = ({ steps }: Workload): number => Math.min(steps - 1, Math.max(2, Math.ceil(steps / 10)));

/** Weights and biases together. */
export const parametersOf = ({ widths }: Workload): number =>
  widths.slice(1).reduce((sum, units, index) => sum + (widths[index]! + 1) * units, 0);

type Layers = NonNullable<NonNullable<TrainConfig["model"]>["layers"]>;

function layersOf({ widths, convolutions = [], transformer }: Workload): Layers {
  const outputs = widths.at(-1)!;
  if (transformer !== undefined) {
    const { blocks, heads, width } = transformer;
    const block: Layers = [
      { kind: "residual", layers: [{ kind: "layerNorm" }, { kind: "selfAttention", heads, causal: true }] },
      {
        kind: "residual",
        layers: [
          { kind: "layerNorm" },
          { kind: "linear", units: 4 * width, activation: "gelu" },
          { kind: "linear", units: width },
        ],
      },
    ];
    return [
      { kind: "embedding", vocabulary: widths[0]!, width },
      { kind: "positionEmbedding" },
      ...Array.from({ length: blocks }, () => block).flat(),
      { kind: "layerNorm" },
      { kind: "linear", units: outputs },
    ];
  }
  const filters = convolutions.flatMap((count) => [
    { kind: "conv2d", filters: count, kernel: 3, padding: "same", activation: "relu" } as const,
    { kind: "maxPool", size: 2 } as const,
  ]);
  const hidden = widths.slice(1, -1).map((units) => ({ kind: "dense", units, activation: "relu" }) as const);
  return [...filters, ...hidden, { kind: "dense", units: outputs }];
}

/** A run of the workload that is long enough to be stopped after its steps, in a folder of its own. */
export function configOf(workload: Workload, runs: string, changes: TrainConfig = {}): TrainConfig {
  const { transformer, batch, steps } = workload;
  return {
    runs,
    ...(transformer && { data: { kind: "text", train: textFile, length: transformer.length, predict: "each" } }),
    batch,
    // An epoch of the text is at least a step.
    epochs: 1 + (transformer === undefined ? Math.ceil(steps / Math.ceil(trainSamples / batch)) : steps),
    evaluateEvery: 1_000_000,
    model: {
      layers: layersOf(workload),
      loss: { kind: "crossEntropy" },
    },
    optimizer: { kind: "sgd", learningRate: LEARNING_RATE },
    checkpoint: { everySteps: 0, everySeconds: 0, keep: 1 },
    ...changes,
  };
}
