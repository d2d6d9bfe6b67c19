/** The simulated cluster of one schedule: starts, ends and restarts its processes, until the run is over. */
import type { Settings } from "../../coordinator/core/settings.ts";
import type { Snapshot } from "../../shared/checkpoint/snapshot.ts";
import type { WorkerRuntime } from "../../worker/runtime.ts";
import { SimulatedCoordinator } from "./coordinator.ts";
import type { Outcome } from "./coordinator.ts";
import { Disk } from "./disk.ts";
import { job } from "./job.ts";
import { Ledger } from "./ledger.ts";
import { Network } from "./network.ts";
import { SimulatedProcess } from "./process.ts";
import { COORDINATOR } from "./schedule.ts";
import type { Schedule, WorkerPart } from "./schedule.ts";
import type { Speed } from "./threads.ts";
import { startWorker } from "./worker.ts";
import type { World } from "./world.ts";

/** A worker's host, over all its processes. */
interface Host {
  readonly part: WorkerPart;
  readonly speed: Speed;
  process: SimulatedProcess | undefined;
  runtime: WorkerRuntime | undefined;
  /** It was told that the run is over. */
  dismissed: boolean;
  /** Milliseconds until it is started again once it has left. */
  back: number | undefined;
}

export class Cluster {
  readonly world: World;
  readonly disk = new Disk();
  readonly ledger = new Ledger();
  readonly network: Network;
  result: Outcome | undefined;
  readonly #settings: Settings;
  readonly #restored: (snapshot: Snapshot) => Snapshot;
  readonly #canJudge: boolean;
  readonly #liars: ReadonlySet<string>;
  readonly #hosts = new Map<string, Host>();
  #coordinator: SimulatedCoordinator | undefined;
  /** Milliseconds until a run that was stopped is started again. */
  #stoppedFor = 0;

  constructor(world: World, schedule: Schedule, restored: (snapshot: Snapshot) => Snapshot) {
    const { minWorkers, checkpointSteps, audit, referee, workers } = schedule;
    this.world = world;
    this.network = new Network(world);
    this.#restored = restored;
    this.#settings = { ...job.settings, minWorkers, startWorkers: minWorkers, checkpointSteps, audit };
    this.#canJudge = referee;
    this.#liars = new Set(workers.flatMap(({ name, lies }) => (lies === undefined ? [] : [name])));
    this.#startCoordinator();
    for (const part of workers) {
      const speed = { pace: part.pace, slowUntil: 0 };
      const host: Host = { part, speed, process: undefined, runtime: undefined, dismissed: false, back: undefined };
      this.#hosts.set(part.name, host);
      world.at(part.joinsAt, () => this.#startWorker(host));
    }
  }

  #startCoordinator(): void {
    const process = new SimulatedProcess(COORDINATOR, this.world);
    const { network, disk, ledger } = this;
    const surroundings = {
      network,
      disk,
      ledger,
      settings: this.#settings,
      canJudge: this.#canJudge,
      liars: this.#liars,
      restored: this.#restored,
    };
    process.perform(() => {
      this.#coordinator = new SimulatedCoordinator(process, surroundings, (result) => {
        this.world.tell?.(`coordinator ends: ${String(result.outcome)}`);
        this.#kill(process, false);
        if (result.outcome === "stopped") this.#resumeIn(this.#stoppedFor);
        else this.result = result;
      });
    });
  }

  /** Somebody starts the run again, and workers for it: some may have been told that it was over. */
  #resumeIn(milliseconds: number): void {
    this.world.after(milliseconds, () => {
      this.#startCoordinator();
      for (const host of this.#hosts.values()) if (host.dismissed) this.#startWorker(host);
    });
  }

  #startWorker(host: Host): void {
    if (host.process?.alive === true) return;
    const { name, lies } = host.part;
    const process = new SimulatedProcess(name, this.world);
    host.process = process;
    host.dismissed = false;
    host.back = undefined;
    this.world.tell?.(`${name} starts`);
    process.perform(() => {
      host.runtime = startWorker(process, host.part, host.speed, this, (error) => {
        this.world.tell?.(`${name} ends${error === undefined ? "" : `: ${error.message}`}`);
        const isFailure =
          error !== undefined && error.code !== "RUN_ENDED" && (error.code !== "QUARANTINED" || lies === undefined);
        if (isFailure) this.world.fail(new Error(`${name} gave up: ${error.message}`));
        this.#kill(process, false);
        host.dismissed = host.back === undefined;
        // It closed its threads for so long that the run has been started again meanwhile.
        const isLate = host.dismissed && this.#coordinator!.state.phase !== "ended";
        const back = isLate ? 100 : host.back;
        if (back !== undefined) this.world.after(back, () => this.#startWorker(host));
      });
    });
  }

  #kill(process: SimulatedProcess, silently: boolean): void {
    for (const end of this.network.endsOf(process)) end.abandon(silently);
    process.alive = false;
  }

  killWorker(name: string, silently: boolean, back: number | undefined): void {
    const host = this.#hosts.get(name)!;
    if (host.process?.alive !== true) return;
    this.#kill(host.process, silently);
    if (back !== undefined) this.world.after(back, () => this.#startWorker(host));
  }

  /** The worker is asked to leave in good order. */
  leave(name: string, back: number | undefined): void {
    const host = this.#hosts.get(name)!;
    if (host.process?.alive !== true) return;
    host.back = back;
    host.process.perform(() => host.runtime!.leave());
  }

  killCoordinator(silently: boolean, back: number): void {
    const { process } = this.#coordinator!;
    if (!process.alive) return;
    this.#kill(process, silently);
    this.#resumeIn(back);
  }

  /** The run is stopped in good order. */
  stop(back: number): void {
    this.#stoppedFor = back;
    this.#coordinator!.stop();
  }

  /** What an operator asks of the run. */
  command(type: "pause" | "unpause" | "save"): void {
    this.#coordinator!.command(type);
  }

  get isEvaluating(): boolean {
    const { process, state } = this.#coordinator!;
    return process.alive && state.work?.name.kind === "evaluate";
  }

  get workerNames(): readonly string[] {
    return [...this.#hosts.keys()];
  }

  /** A worker's process by its name, or the coordinator's; undefined before it has started. */
  processOf(name: string): SimulatedProcess | undefined {
    return name === COORDINATOR ? this.#coordinator?.process : this.#hosts.get(name)!.process;
  }

  speedOf(name: string): Speed {
    return this.#hosts.get(name)!.speed;
  }
}
