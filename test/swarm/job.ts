/** What a swarm trains: a network and samples so small that a step is all about its workers, and not about computing. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { randomStream } from "../../shared/random.ts";

const FEATURES = 16;
const CLASSES = 4;
/** Three whole batches and one of 331 samples: 165 shards, less than there are workers. */
const TRAIN = 3 * 512 + 331;
const TEST = 300;

export const STEPS_PER_EPOCH = 4;

function table(samples: number, stream: number): string {
  const { normal } = randomStream(1, "simulation", stream);
  const rows = Array.from({ length: samples }, (_, row) => {
    const features = Array.from({ length: FEATURES }, (_, column) => normal(row * FEATURES + column));
    // The class of the first, second, third or fourth quarter of the features, whichever is the largest sum.
    const sums = Array.from({ length: CLASSES }, (_, part) =>
      features.slice(4 * part, 4 * part + 4).reduce((sum, value) => sum + value, 0),
    );
    return [sums.indexOf(Math.max(...sums)), ...features.map((value) => value.toFixed(4))].join(",");
  });
  return `${rows.join("\n")}\n`;
}

/** The part of a run's config that differs from run to run; only the epochs change its result. */
export interface Job {
  readonly name: string;
  readonly epochs: number;
  readonly minWorkers: number;
  readonly sharedMemory: boolean;
}

/** Writes data and a config into a folder; returns the config's path. */
export async function writeJob(folder: string, { name, epochs, minWorkers, sharedMemory }: Job): Promise<string> {
  await writeFile(join(folder, "train.csv"), table(TRAIN, 0));
  await writeFile(join(folder, "test.csv"), table(TEST, 1));
  const config = join(folder, `${name}.yaml`);
  await writeFile(
    config,
    `
name: ${name}
data: { csv: { train: train.csv, test: test.csv, target: 0, classes: ${CLASSES}, header: false } }
runs: ${join(folder, "runs")}
model: { layers: [{ dense: { units: 16, activation: relu } }, { dropout: 0.1 }, { dense: ${CLASSES} }] }
optimizer: { adam: { learningRate: 0.002 } }
batch: 512
shards: 256
epochs: ${epochs}
minWorkers: ${minWorkers}
sharedMemory: ${sharedMemory ? "on" : "off"}
evaluateEvery: 10
`,
  );
  return config;
}
