/** Runs one schedule and says what did not hold: nothing, if Lockstep keeps its promise. */
import { createHash } from "node:crypto";
import type { Snapshot } from "../../shared/checkpoint/snapshot.ts";
import { Cluster } from "./cluster.ts";
import { causeAll } from "./faults.ts";
import type { MetricsLine } from "./disk.ts";
import { faultsEnd } from "./schedule.ts";
import type { Schedule } from "./schedule.ts";
import { World } from "./world.ts";

/** Milliseconds of virtual time in which a run is over once nothing fails any more. */
const PATIENCE = 90_000;

export interface Story {
  readonly hash: string;
  /** Of the best checkpoint, and of the one that was begun last. */
  readonly checkpoints: Readonly<Record<"best" | "last", string>>;
  /** What metrics.jsonl says of steps and epochs, without what depends on time. */
  readonly metrics: readonly string[];
  readonly virtualSeconds: number;
  readonly events: number;
}

export interface SimulationOptions {
  readonly tell?: (line: string) => void;
  readonly restored?: (snapshot: Snapshot) => Snapshot;
}

/** Rejects with what went wrong on the way. */
async function simulate(schedule: Schedule, options: SimulationOptions = {}): Promise<Story> {
  const { tell, restored = (snapshot) => snapshot } = options;
  const timed = tell && ((line: string) => tell(`${(world.now / 1000).toFixed(4).padStart(9)}  ${line}`));
  const world: World = new World(schedule.seed, timed);
  const cluster = new Cluster(world, schedule, restored);
  causeAll(cluster, schedule);
  const deadline = faultsEnd(schedule) + PATIENCE;
  const inTime = await world.run(() => cluster.result !== undefined, deadline);
  if (!inTime) throw new Error(`the run was not over ${PATIENCE / 1000} s after the last fault`);
  const { outcome, parametersSha256 } = cluster.result!;
  if (outcome !== "completed") throw new Error(`the run ended: ${String(outcome)}`);
  cluster.ledger.checkEpochs();
  return {
    hash: parametersSha256,
    checkpoints: { best: sha256(cluster.disk.best!), last: sha256(cluster.disk.last!) },
    metrics: cluster.disk.metrics.map(timeless),
    virtualSeconds: world.now / 1000,
    events: world.events,
  };
}

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

function timeless({ type, step, epoch, loss, accuracy, testLoss, testAccuracy }: MetricsLine): string {
  return JSON.stringify({ type, step, epoch, loss, accuracy, testLoss, testAccuracy });
}

/** Three workers and nothing that fails. */
const undisturbed: Schedule = {
  seed: 0,
  minWorkers: 1,
  checkpointSteps: 4,
  audit: 0,
  referee: false,
  workers: [1, 2, 3].map((number) => ({ name: `worker-${number}`, threads: number, pace: 5, joinsAt: 0 })),
  faults: [],
};

let expected: Promise<Story> | undefined;

/** Rejects unless a schedule ends in the bits of the undisturbed run. */
export async function check(schedule: Schedule, options: SimulationOptions = {}): Promise<Story> {
  expected ??= simulate(undisturbed);
  const { hash, checkpoints, metrics } = await expected;
  const story = await simulate(schedule, options);
  if (story.hash !== hash) throw new Error(`the parameters hash to ${story.hash}, undisturbed to ${hash}`);
  for (const which of ["best", "last"] as const) {
    if (story.checkpoints[which] !== checkpoints[which])
      throw new Error(`the ${which} checkpoint is not the undisturbed run's`);
  }
  const different = metrics.findIndex((line, index) => line !== story.metrics[index]);
  if (different >= 0 || metrics.length !== story.metrics.length) {
    throw new Error(
      `line ${different} of the metrics is ${story.metrics[different]}, undisturbed ${metrics[different]}`,
    );
  }
  return story;
}
