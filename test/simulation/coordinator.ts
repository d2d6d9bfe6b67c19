/** A simulated coordinator process: the production parts, wired as a run wires them, on a virtual clock, network and disk. */
import type { CoordinatorState, Steering, Work } from "../../coordinator/core/state.ts";
import type { Settings } from "../../coordinator/core/settings.ts";
import { initialState, steeringFrom } from "../../coordinator/core/initial-state.ts";
import { batchOf, owesEvaluation } from "../../coordinator/core/epochs.ts";
import { rateAfter } from "../../coordinator/core/steering.ts";
import { ParameterStore, parameterBytes } from "../../coordinator/exchange/parameters.ts";
import { Crew, CREW_BYTES } from "../../coordinator/crew/crew.ts";
import { optimizerParts } from "../../coordinator/run/plan.ts";
import { Reduction, reductionBytes } from "../../coordinator/reduction/reduction.ts";
import type { Total } from "../../coordinator/reduction/reduction.ts";
import { CoordinatorRuntime } from "../../coordinator/runtime.ts";
import type { Json, Snapshot } from "../../shared/checkpoint/snapshot.ts";
import type { LockstepError } from "../../shared/errors.ts";
import type { TreeNode } from "../../shared/gradient/tree.ts";
import { stepNumber } from "../../shared/ids.ts";
import type { WorkerId } from "../../shared/ids.ts";
import { instantiateKernels } from "../../shared/kernels/index.ts";
import { Arena } from "../../shared/memory/arena.ts";
import { parametersSha256 } from "../../shared/memory/layout.ts";
import { initialParameters } from "../../shared/nn/model.ts";
import type { Disk, MetricsLine } from "./disk.ts";
import { job } from "./job.ts";
import type { Ledger, Life } from "./ledger.ts";
import { buffersInUse } from "./memory.ts";
import type { Network } from "./network.ts";
import type { SimulatedProcess } from "./process.ts";
import { SimulatedReferee } from "./referee.ts";

const { config, layouts, model, plan, shards } = job;
const optimizer = optimizerParts(config, layouts.parameters);

/** A reduction that tells the ledger what is added, and has all buffers back before each work. */
class WatchedReduction extends Reduction {
  readonly #life: Life;
  readonly #process: SimulatedProcess;

  constructor(life: Life, process: SimulatedProcess, ...rest: ConstructorParameters<typeof Reduction>) {
    super(...rest);
    this.#life = life;
    this.#process = process;
  }

  override open(work: Work): void {
    super.open(work);
    const held = buffersInUse(this.#process);
    if (held > this.#process.reading)
      throw new Error(`the coordinator opens ${work.name.kind} ${work.name.step} and holds ${held} buffers`);
    this.#life.opened(work);
  }

  override fold(worker: WorkerId, node: TreeNode): void {
    this.#life.folded(worker, node);
    super.fold(worker, node);
  }
}

/** Parameters that tell the ledger of every step taken, and whoever listens of what is sent ahead. */
class WatchedStore extends ParameterStore {
  readonly #life: Life;
  readonly #tell: (line: string) => void;

  constructor(life: Life, tell: (line: string) => void, ...rest: ConstructorParameters<typeof ParameterStore>) {
    super(...rest);
    this.#life = life;
    this.#tell = tell;
  }

  override lendAhead(...how: Parameters<ParameterStore["lendAhead"]>): ReturnType<ParameterStore["lendAhead"]> {
    this.#tell("parameters ahead");
    return super.lendAhead(...how);
  }

  override lend(...how: Parameters<ParameterStore["lend"]>): ReturnType<ParameterStore["lend"]> {
    this.#tell(`parameters ${how[2]}`);
    return super.lend(...how);
  }

  override update(total: Total, samples: number, steps: number): ReturnType<ParameterStore["update"]> {
    const outcome = super.update(total, samples, steps);
    if (outcome.isFinite && outcome.damaged.length === 0) this.#life.stepTaken(steps);
    return outcome;
  }
}

/** What the cluster lends a coordinator. */
export interface Surroundings {
  readonly network: Network;
  readonly disk: Disk;
  readonly ledger: Ledger;
  readonly settings: Settings;
  /** Whether the coordinator's own engine has the run's arithmetic. */
  readonly canJudge: boolean;
  /** Names of workers that may be quarantined. */
  readonly liars: ReadonlySet<string>;
  /** What of a checkpoint goes on; the identity unless a test wants a fault. */
  readonly restored: (snapshot: Snapshot) => Snapshot;
}

export interface Outcome {
  readonly outcome: "completed" | "stopped" | LockstepError;
  readonly parametersSha256: string;
}

export class SimulatedCoordinator {
  readonly process: SimulatedProcess;
  readonly state: CoordinatorState;
  readonly #store: ParameterStore;
  readonly #disk: Disk;
  readonly #runtime: CoordinatorRuntime;
  #lines: MetricsLine[] = [];

  constructor(process: SimulatedProcess, surroundings: Surroundings, finished: (outcome: Outcome) => void) {
    const { network, disk, ledger, settings, canJudge, liars, restored } = surroundings;
    this.process = process;
    this.#disk = disk;
    const tell = process.world.tell ?? (() => {});
    const found = disk.open(tell);
    const snapshot = found === undefined ? undefined : restored(found);
    const steps = stepNumber(snapshot?.step ?? 0);
    const life = ledger.life(steps);
    const arena = new Arena(
      CREW_BYTES + parameterBytes(layouts.parameters, optimizer) + reductionBytes(layouts, shards),
    );
    const kernels = instantiateKernels(arena.memory);
    const crew = new Crew(arena, kernels, optimizer);
    this.#store = new WatchedStore(life, tell, arena, kernels, layouts.parameters, crew, (done) =>
      rateAfter(this.state, done),
    );
    if (snapshot === undefined) initialParameters(model, layouts.parameters, config.seed, this.#store.vector);
    else this.#store.restore(snapshot);
    const steering = steeringFrom(snapshot?.steering as Partial<Steering> | undefined);
    const { fingerprint, quarantined } = disk;
    const auditKey = Math.floor(process.world.random() * 2 ** 32);
    this.state = initialState(settings, { steps, steering, fingerprint, quarantined, auditKey }, process.now());
    const owed = owesEvaluation(this.state) ? ", which owes an evaluation" : "";
    tell(`coordinator starts ${snapshot === undefined ? "afresh" : `from checkpoint ${steps}${owed}`}`);
    this.#runtime = new CoordinatorRuntime({
      state: this.state,
      plan,
      layouts,
      arena,
      kernels,
      store: this.#store,
      reduction: new WatchedReduction(life, process, arena, kernels, crew, layouts, shards),
      referee: new SimulatedReferee(process, canJudge),
      memory: undefined,
      clock: process,
      notify: (event) => {
        if (event.type === "worker-joined") disk.fingerprint = this.state.fingerprint;
        if (event.type === "worker-lost" && event.reason.includes("damaged") && !network.hasDamaged)
          process.world.fail(new Error(`${event.worker} is lost though nothing has damaged it: ${event.reason}`));
        if (event.type === "quarantined") {
          if (!liars.has(event.worker)) process.world.fail(new Error(`the honest ${event.worker} is quarantined`));
          disk.quarantined = [...this.state.quarantined.values()];
        }
        if (process.world.tell !== undefined) tell(`coordinator: ${JSON.stringify(event)}`);
      },
      record: (line) => {
        this.#lines.push(line);
        this.#checkMembers(network.endsOf(process).length);
      },
      checkpoint: () => this.#checkpoint(),
      keepBest: () => disk.keepBest(process, this.#snapshot()),
    });
    network.listen(process, this.#runtime);
    void this.#runtime.finished.then((outcome) => {
      // The rest of the metrics, as when a run closes its recorder.
      disk.write(process, this.#takeLines(), undefined, () => {
        if (disk.isIdle)
          finished({ outcome, parametersSha256: parametersSha256(layouts.parameters, this.#store.vector) });
      });
    });
  }

  /** As Ctrl-C does. */
  stop(): void {
    this.process.perform(() => this.#runtime.stop("user"));
  }

  command(type: "pause" | "unpause" | "save"): void {
    this.process.perform(() => this.#runtime.command(type));
  }

  #checkMembers(connections: number): void {
    const { size } = this.state.members;
    if (size > connections)
      throw new Error(`the coordinator counts ${size} members and has ${connections} connections`);
  }

  #checkpoint(): void {
    this.#disk.write(this.process, this.#takeLines(), this.#snapshot(), () => {});
  }

  #snapshot(): Snapshot {
    return {
      step: this.state.steps,
      epoch: batchOf(this.state.settings, this.state.steps).epoch,
      run: this.state.settings.run,
      layoutHash: layouts.parameters.hash,
      parameters: this.#store.vector,
      state: this.#store.state,
      steering: this.state.steering as unknown as Json,
    };
  }

  #takeLines(): MetricsLine[] {
    const lines = this.#lines;
    this.#lines = [];
    return lines;
  }
}
