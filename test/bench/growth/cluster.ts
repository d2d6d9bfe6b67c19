/** A coordinator process and worker processes that can be watched, in a folder of their own; all end with it. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { asEvents, Lockstep } from "../../support/lockstep-process.ts";
import { Fleet } from "../../swarm/fleet.ts";
import { writeJob } from "../../swarm/job.ts";
import { watchedEnvironment } from "../../swarm/watched.ts";
import { TimedProcess } from "../timed-process.ts";
import { configOf } from "../workloads.ts";
import type { Workload } from "../workloads.ts";

/** More epochs than anyone waits for, and fewer steps than a run may have. */
const MANY = 100_000;

/** Does something with a coordinator and so many worker processes that train a workload. */
export function withWorkers<Result>(
  workload: Workload,
  workers: number,
  action: (coordinator: TimedProcess, workers: readonly Lockstep[]) => Promise<Result>,
): Promise<Result> {
  return inFolder(async (folder, cleanUp) => {
    const config = join(folder, "job.yaml");
    const changes = { minWorkers: workers, epochs: MANY };
    // JSON is YAML.
    await writeFile(config, JSON.stringify(configOf(workload, join(folder, "runs"), changes)));
    const { coordinator, url } = await startCoordinator(config, cleanUp);
    const names = Array.from({ length: workers }, (_, index) => `worker-${index + 1}`);
    const started = names.map((name) =>
      cleanUp.adopt(new Lockstep("worker/main.ts", [url, "--name", name], undefined, watchedEnvironment), kill),
    );
    return action(coordinator, started);
  });
}

/** Does something with a coordinator and so many light workers, whose steps are all about workers and not about computing. */
export function withLightWorkers<Result>(
  workers: number,
  action: (coordinator: TimedProcess, fleet: Fleet) => Promise<Result>,
): Promise<Result> {
  return inFolder(async (folder, cleanUp) => {
    const config = await writeJob(folder, { name: "growth", epochs: MANY, minWorkers: workers, sharedMemory: true });
    const { coordinator, url } = await startCoordinator(config, cleanUp);
    const fleet = cleanUp.adopt(new Fleet(url, 1), (each) => each.close());
    fleet.start(workers);
    return Promise.race([action(coordinator, fleet), fleet.broken]);
  });
}

async function inFolder<Result>(
  action: (folder: string, cleanUp: AsyncDisposableStack) => Promise<Result>,
): Promise<Result> {
  await using cleanUp = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "lockstep-growth-"));
  cleanUp.defer(() => rm(folder, { recursive: true, force: true }));
  return await action(folder, cleanUp);
}

async function startCoordinator(
  config: string,
  cleanUp: AsyncDisposableStack,
): Promise<{ coordinator: TimedProcess; url: string }> {
  const coordinator = cleanUp.adopt(new TimedProcess(["coordinator", config, ...asEvents], watchedEnvironment), kill);
  const { event } = await coordinator.next("listening", 0);
  return { coordinator, url: event.url };
}

async function kill(process: Lockstep): Promise<void> {
  process.killAll();
  await process.finished;
}
