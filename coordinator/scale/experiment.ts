/** A scaling experiment: one job, measured at every point of a grid, several times. */
import type { RunConfig } from "../config/config.ts";

export interface Experiment {
  /** What is trained at every point; its own workers, threads, shards and batch give way to the grid's. */
  readonly job: RunConfig;
  readonly grid: Grid;
  /** Runs of each point. */
  readonly repeat: number;
  /** Steps that are timed in each run, behind a tenth as many that warm it up. */
  readonly steps: number;
  /** Train until this accuracy (0 to 1) on the test data instead, or to the end of the job's epochs. */
  readonly target: number | undefined;
  /** The learning rate grows with the batch, in proportion to the job's own (Goyal et al. 2017). */
  readonly linearScaling: boolean;
  /** Folder for table, data and plots. */
  readonly out: string;
}

export interface Grid {
  readonly workers: readonly number[];
  readonly threads: readonly number[];
  readonly shards: readonly number[];
  readonly batch: readonly number[];
}

/** What one run is made with. `batch` is samples in a global minibatch. */
export interface Point {
  readonly workers: number;
  readonly threads: number;
  readonly shards: number;
  readonly batch: number;
}

/** Every combination; those that differ in the number of workers alone stand together. */
export const pointsOf = ({ workers, threads, shards, batch }: Grid): Point[] =>
  batch.flatMap((batch) =>
    shards.flatMap((shards) =>
      threads.flatMap((threads) => workers.map((workers) => ({ workers, threads, shards, batch }))),
    ),
  );

/** Whether two points differ in the number of workers alone. */
export const isSameSeries = (one: Point, other: Point): boolean =>
  one.threads === other.threads && one.shards === other.shards && one.batch === other.batch;

/** What all points share in the job, and who has it, is left out of its name. */
export function titleOf(point: Point, { threads, shards, batch }: Grid): string {
  const parts = [`${point.workers} worker${point.workers === 1 ? "" : "s"}`];
  if (threads.length > 1) parts.push(`${point.threads} thread${point.threads === 1 ? "" : "s"}`);
  if (shards.length > 1) parts.push(`${point.shards} shards`);
  if (batch.length > 1) parts.push(`batch ${point.batch}`);
  return parts.join(", ");
}

/** More epochs than any measurement takes: it is stopped when it has seen enough. */
const ENDLESS = 1_000_000;

/** The run of a point, in a folder of its own: nothing is written meanwhile that would cost time. */
export function configOf({ job, target, linearScaling }: Experiment, point: Point, runs: string): RunConfig {
  const learningRate = job.optimizer.learningRate * (linearScaling ? point.batch / job.batch : 1);
  const { tokenFile: _, tls: __, ...open } = job;
  return {
    ...open,
    ...point,
    name: "scale",
    runs,
    minWorkers: point.workers,
    optimizer: { ...job.optimizer, learningRate },
    checkpoint: { everySteps: 0, everySeconds: 0, keep: 1, best: false },
    host: "127.0.0.1",
    port: 0,
    ...(target === undefined ? { epochs: ENDLESS, evaluateEvery: ENDLESS } : {}),
  };
}
