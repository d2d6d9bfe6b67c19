/** One round of a coordinator and local worker processes over WebSockets, timed between steps in the middle of the run. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { configFromObject } from "../../coordinator/config/resolve.ts";
import type { RunProfile } from "../../coordinator/events.ts";
import { startRun } from "../../coordinator/run.ts";
import { configOf } from "./workloads.ts";
import type { Workload } from "./workloads.ts";

export interface ClusterRound {
  readonly millisecondsAStep: number;
  readonly profile: RunProfile;
}

/** Steps before this share of the run warm up sessions and sockets and are not timed. */
const WARM_UP = 0.1;

export async function cluster(workload: Workload, workers: number): Promise<ClusterRound> {
  const runs = await mkdtemp(join(tmpdir(), "lockstep-bench-"));
  try {
    const config = configFromObject(configOf(workload, workers, runs));
    let first: { step: number; at: number } | undefined;
    let last = { step: 0, at: 0 };
    const run = await startRun({
      config,
      resume: false,
      localWorkers: workers,
      onEvent(event) {
        if (event.type !== "step") return;
        last = { step: event.step, at: performance.now() };
        if (event.step >= WARM_UP * event.steps) first ??= last;
      },
    });
    const { profile } = await run.finished;
    return { millisecondsAStep: (last.at - first!.at) / (last.step - first!.step), profile };
  } finally {
    await rm(runs, { recursive: true, force: true });
  }
}
