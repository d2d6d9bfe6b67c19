/** One round of a coordinator and local worker processes, timed between two steps, with all workers there from the first. */
import { mkdtemp, rm } from "node:fs/promises";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { configFromObject } from "../../coordinator/config/resolve.ts";
import type { TrainConfig } from "../../coordinator/config/resolve.ts";
import type { RunProfile } from "../../coordinator/events.ts";
import { startRun } from "../../coordinator/run/run.ts";
import { adviceOn } from "../../coordinator/scale/advice.ts";
import { stepTimes } from "./measure.ts";
import { configOf, titleOf, warmUpOf } from "./workloads.ts";
import type { Workload } from "./workloads.ts";

export interface ClusterRound {
  readonly millisecondsAStep: number;
  /** Of the last step's minibatch: that it has learned. */
  readonly loss: number;
  readonly profile: RunProfile;
  /** Steps taken in all, and the parameters after them. */
  readonly steps: number;
  readonly parametersSha256: string;
}

/** One sentence on where a step's time goes and what would help, of the round in the middle. */
export function advice(rounds: readonly ClusterRound[], workload: Workload, workers: number): string {
  const { median } = stepTimes(rounds);
  const { profile } = rounds.find((round) => round.millisecondsAStep === median)!;
  const { shards, threads } = configFromObject(configOf(workload, "runs"));
  return adviceOn(profile, { workers, threads, shards, batch: workload.batch }, cpus().length);
}

/** @param changes what the run's config says differently; @param trace whether every step is written down */
export async function cluster(
  workload: Workload,
  workers: number,
  changes: TrainConfig = {},
  trace?: true,
): Promise<ClusterRound> {
  const runs = await mkdtemp(join(tmpdir(), "lockstep-bench-"));
  const warmUp = warmUpOf(workload);
  try {
    let began = 0;
    let ended = 0;
    let loss = Number.NaN;
    let lost: string | undefined;
    const run = await startRun({
      config: configFromObject(configOf(workload, runs, { workers, minWorkers: workers, ...changes })),
      resume: false,
      localWorkers: workers,
      trace,
      onEvent(event) {
        if (event.type === "worker-lost" && ended === 0) {
          lost = `${event.worker} was lost: ${event.reason}`;
          run.stop();
        }
        if (event.type !== "step") return;
        if (event.step === warmUp) began = performance.now();
        if (event.step !== workload.steps) return;
        ended = performance.now();
        loss = event.loss;
        run.stop();
      },
    });
    const { profile, steps, parametersSha256 } = await run.finished;
    // Its time would be that of something else.
    if (lost !== undefined) throw new Error(`the round of ${titleOf(workload)} cannot be used: ${lost}`);
    return { millisecondsAStep: (ended - began) / (workload.steps - warmUp), loss, profile, steps, parametersSha256 };
  } finally {
    await rm(runs, { recursive: true, force: true });
  }
}
