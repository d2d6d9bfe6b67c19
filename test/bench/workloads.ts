/** The networks every benchmark uses, so that figures can be compared. All train on MNIST with plain SGD. */
import type { TrainConfig } from "../../coordinator/config/resolve.ts";

export interface Workload {
  readonly name: string;
  readonly widths: readonly number[];
  /** Samples in a global minibatch. */
  readonly batch: number;
  /** Steps of one round. */
  readonly steps: number;
}

export const workloads: readonly Workload[] = [
  { name: "S", widths: [784, 64, 10], batch: 128, steps: 1_407 },
  { name: "M", widths: [784, 1024, 1024, 10], batch: 512, steps: 118 },
];

export const titleOf = ({ name, widths, batch }: Workload): string => `${name} ${widths.join("-")} at ${batch}`;

const trainSamples = 60_000;

/** The run of one round, in a folder of its own. */
export function configOf({ widths, batch, steps }: Workload, workers: number, runs: string): TrainConfig {
  const hidden = widths.slice(1, -1).map((units) => ({ kind: "dense", units, activation: "relu" }) as const);
  return {
    runs,
    workers,
    batch,
    epochs: Math.round(steps / Math.ceil(trainSamples / batch)),
    evaluateEvery: 1_000,
    model: { layers: [...hidden, { kind: "dense", units: widths.at(-1)! }], loss: { kind: "crossEntropy" } },
    optimizer: { kind: "sgd", learningRate: 0.05 },
    checkpoint: { everySteps: 0, everySeconds: 0, keep: 1 },
  };
}
