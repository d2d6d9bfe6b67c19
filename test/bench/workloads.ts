/** The networks every benchmark uses, so that figures can be compared. All train on MNIST with plain SGD. */
import type { TrainConfig } from "../../coordinator/config/resolve.ts";

export interface Workload {
  readonly name: string;
  readonly widths: readonly number[];
  /** Filters of 3 × 3 convolutions before the dense layers, each followed by ReLU and a 2 × 2 pool. */
  readonly convolutions?: readonly number[];
  /** Samples in a global minibatch. */
  readonly batch: number;
  /** Steps of one round, with those that warm up. */
  readonly steps: number;
}

export const workloads: readonly Workload[] = [
  { name: "S", widths: [784, 64, 10], batch: 128, steps: 1_400 },
  { name: "M", widths: [784, 1024, 1024, 10], batch: 512, steps: 110 },
  { name: "L", widths: [784, 4096, 4096, 10], batch: 1024, steps: 20 },
  { name: "C", convolutions: [32, 64], widths: [784, 128, 10], batch: 128, steps: 110 },
];

export const LEARNING_RATE = 0.05;

const trainSamples = 60_000;

export const titleOf = ({ name, widths, convolutions = [], batch }: Workload): string => {
  const filters = convolutions.map((count) => `conv ${count}, pool`);
  return `${name} ${[...filters, widths.slice(filters.length > 0 ? 1 : 0).join("-")].join(", ")} at ${batch}`;
};

/** The first steps of a round, which fill caches, compile code and open sockets, are not timed. */
export const warmUpOf = ({ steps }: Workload): number => Math.min(steps - 1, Math.max(2, Math.ceil(steps / 10)));

/** Weights and biases together. */
export const parametersOf = ({ widths }: Workload): number =>
  widths.slice(1).reduce((sum, units, index) => sum + (widths[index]! + 1) * units, 0);

/** A run of the workload that is long enough to be stopped after its steps, in a folder of its own. */
export function configOf(
  { widths, convolutions = [], batch, steps }: Workload,
  runs: string,
  changes: TrainConfig = {},
): TrainConfig {
  const filters = convolutions.flatMap((count) => [
    { kind: "conv2d", filters: count, kernel: 3, padding: "same", activation: "relu" } as const,
    { kind: "maxPool", size: 2 } as const,
  ]);
  const hidden = widths.slice(1, -1).map((units) => ({ kind: "dense", units, activation: "relu" }) as const);
  return {
    runs,
    batch,
    epochs: 1 + Math.ceil(steps / Math.ceil(trainSamples / batch)),
    evaluateEvery: 1_000_000,
    model: {
      layers: [...filters, ...hidden, { kind: "dense", units: widths.at(-1)! }],
      loss: { kind: "crossEntropy" },
    },
    optimizer: { kind: "sgd", learningRate: LEARNING_RATE },
    checkpoint: { everySteps: 0, everySeconds: 0, keep: 1 },
    ...changes,
  };
}
