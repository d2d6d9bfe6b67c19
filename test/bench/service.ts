/**
 * A coordinator under a supervisor and three workers, each a process of its own that can be killed and started again: the
 * coordinator always by the same command, to the same port, going on from its last checkpoint.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { asEvents, Lockstep } from "../support/lockstep-process.ts";
import { freePort } from "../support/ports.ts";
import { TimedProcess } from "./timed-process.ts";
import { configOf } from "./workloads.ts";
import type { Workload } from "./workloads.ts";

export const workerNames = ["a", "b", "c"] as const;
export type WorkerName = (typeof workerNames)[number];

/** Longer than anyone measures. */
const MANY_STEPS = 100_000_000;

export class Service implements AsyncDisposable {
  coordinator: TimedProcess;
  readonly #folder: string;
  readonly #port: number;
  readonly #workers: Record<WorkerName, Lockstep>;

  private constructor(folder: string, port: number) {
    this.#folder = folder;
    this.#port = port;
    this.coordinator = this.#startCoordinator();
    this.#workers = { a: this.#startWorker("a"), b: this.#startWorker("b"), c: this.#startWorker("c") };
  }

  static async start(workload: Workload, checkpointEvery: number): Promise<Service> {
    const folder = await mkdtemp(join(tmpdir(), "lockstep-bench-"));
    const checkpoint = { everySteps: checkpointEvery, everySeconds: 0, keep: 2 };
    const config = configOf({ ...workload, steps: MANY_STEPS }, join(folder, "runs"), { checkpoint });
    // JSON is YAML.
    await writeFile(join(folder, "job.yaml"), JSON.stringify(config));
    return new Service(folder, await freePort());
  }

  /** Kills a worker and resolves once it is gone. */
  async killWorker(name: WorkerName): Promise<void> {
    this.#workers[name].process.kill("SIGKILL");
    await this.#workers[name].finished;
  }

  restartWorker(name: WorkerName): void {
    this.#workers[name] = this.#startWorker(name);
  }

  async killCoordinator(): Promise<void> {
    this.coordinator.killAll();
    await this.coordinator.finished;
  }

  restartCoordinator(): void {
    this.coordinator = this.#startCoordinator();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const processes = [this.coordinator, ...Object.values(this.#workers)];
    for (const each of processes) each.killAll();
    await Promise.all(processes.map(({ finished }) => finished));
    await rm(this.#folder, { recursive: true, force: true });
  }

  #startCoordinator(): TimedProcess {
    const where = ["--name", "bench", "--port", `${this.#port}`, "--continue"];
    return new TimedProcess(["coordinator", join(this.#folder, "job.yaml"), ...where, ...asEvents]);
  }

  #startWorker(name: WorkerName): Lockstep {
    return new Lockstep("worker/main.ts", [`ws://127.0.0.1:${this.#port}`, "--name", name]);
  }
}
