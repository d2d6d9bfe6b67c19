/** Whether memory grows over a long run of a small network: of the coordinator and of one of the workers. */
import { table } from "../../../coordinator/cli/table.ts";
import type { Lockstep } from "../../support/lockstep-process.ts";
import { usageOf } from "../../swarm/usage.ts";
import { measure } from "../../swarm/watched.ts";
import { progress } from "../measure.ts";
import { workloads } from "../workloads.ts";
import { withWorkers } from "./cluster.ts";
import { megabytes } from "./report.ts";

const STEPS = 60_000;
const MEASUREMENTS = 12;

/** In MiB. */
interface Held {
  /** Once all garbage is collected. */
  readonly inUse: number;
  readonly resident: number;
}

export interface Moment {
  readonly step: number;
  readonly coordinator: Held;
  readonly worker: Held;
}

async function heldBy(watched: Pick<Lockstep, "process">): Promise<Held> {
  const inUse = megabytes(await measure(watched));
  return { inUse, resident: megabytes(usageOf(watched.process.pid!).resident) };
}

export function longRun(workers: number): Promise<Moment[]> {
  const small = workloads.find(({ name }) => name === "S")!;
  return withWorkers(small, workers, async (coordinator, [worker]) => {
    const moments: Moment[] = [];
    let from = 0;
    for (let measurement = 1; measurement <= MEASUREMENTS; measurement++) {
      const at = (measurement * STEPS) / MEASUREMENTS;
      progress(`a long run, step ${at} of ${STEPS}`);
      const { event, index } = await coordinator.next("step", from, ({ step }) => step >= at);
      from = index;
      moments.push({ step: event.step, coordinator: await heldBy(coordinator), worker: await heldBy(worker!) });
    }
    progress("");
    return moments;
  });
}

export function printLongRun(moments: readonly Moment[], workers: number): void {
  console.log(`${STEPS.toLocaleString("en-US")} steps of S with ${workers} workers, MiB in use and resident`);
  const cells = moments.map(({ step, coordinator, worker }) => [
    step.toLocaleString("en-US"),
    ...[coordinator, worker].flatMap(({ inUse, resident }) => [inUse.toFixed(1), resident.toFixed(0)]),
  ]);
  console.log(table([["step", "coordinator", "resident", "a worker", "resident"], ...cells]));
}
