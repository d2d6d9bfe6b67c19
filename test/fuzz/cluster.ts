/**
 * A small run inside this process: the production coordinator and worker runtimes on a clock that the test moves, over
 * connections that deliver a frame when the test says so. Hostile connections stand beside it.
 */
import { initialState, steeringFrom } from "../../coordinator/core/initial-state.ts";
import type { Frame } from "../../shared/protocol/codec.ts";
import type { CoordinatorState } from "../../coordinator/core/state.ts";
import { ParameterStore, parameterBytes } from "../../coordinator/exchange/parameters.ts";
import { Reduction, reductionBytes } from "../../coordinator/reduction/reduction.ts";
import { EngineReferee } from "../../coordinator/exchange/referee.ts";
import { CoordinatorRuntime } from "../../coordinator/runtime.ts";
import type { RuntimeParts } from "../../coordinator/runtime.ts";
import type { Cancel, Clock } from "../../shared/clock.ts";
import { stepNumber } from "../../shared/ids.ts";
import { instantiateKernels } from "../../shared/kernels/index.ts";
import { Arena } from "../../shared/memory/arena.ts";
import { parametersSha256 } from "../../shared/memory/layout.ts";
import { initialParameters } from "../../shared/nn/model.ts";
import { Crew, CREW_BYTES } from "../../coordinator/crew/crew.ts";
import { optimizerParts } from "../../coordinator/run/plan.ts";
import { JoinToken } from "../../shared/protocol/handshake.ts";
import { Outbox } from "../../shared/protocol/outbox.ts";
import type { Client, ClientListener } from "../../worker/client.ts";
import { ComputePool } from "../../shared/compute/pool.ts";
import { WorkerRuntime } from "../../worker/runtime.ts";
import { data, job } from "../simulation/job.ts";
import { inlineThreads } from "../support/inline-threads.ts";
import { unknownLink } from "../support/link.ts";

export const token = JoinToken.from("known to the honest only", "a test");

/** A clock that goes on when it is told to. */
export class ManualClock implements Clock {
  #now = 0;
  readonly #timers = new Set<{ at: number; readonly every: number | undefined; readonly action: () => void }>();

  now(): number {
    return this.#now;
  }

  after(milliseconds: number, action: () => void): Cancel {
    return this.#add({ at: this.#now + milliseconds, every: undefined, action });
  }

  every(milliseconds: number, action: () => void): Cancel {
    return this.#add({ at: this.#now + milliseconds, every: milliseconds, action });
  }

  advance(milliseconds: number): void {
    this.#now += milliseconds;
    for (const timer of this.#timers) {
      if (timer.at > this.#now) continue;
      if (timer.every === undefined) this.#timers.delete(timer);
      else timer.at += timer.every;
      timer.action();
    }
  }

  #add(timer: { at: number; readonly every: number | undefined; readonly action: () => void }): Cancel {
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }
}

/** The pool of a plan, computed in this thread by the reference evaluator. */
export const referencePool = (plan: ConstructorParameters<typeof ComputePool>[0]): ComputePool =>
  new ComputePool(plan, 1, data, inlineThreads);

/** A connection's worker end, as a fuzzer takes it over. */
export type Hijack = (listener: ClientListener) => Client | undefined;

export class Cluster {
  readonly clock = new ManualClock();
  readonly state: CoordinatorState;
  readonly runtime: CoordinatorRuntime;
  /** Frames of honest workers and of the coordinator to them, the latest of each kind first. */
  readonly heard = { worker: [] as Frame[], coordinator: [] as Frame[] };
  readonly #store: ParameterStore;
  readonly #hijack: Hijack;
  #underWay: (() => void)[] = [];
  readonly #open = new Set<() => void>();
  ended: string | undefined;
  /** Whether workers connect from the coordinator's host. */
  isLocal = false;

  /** @param epochs as long as the run is to last; @param memory to share with workers, if any */
  constructor(epochs: number, hijack: Hijack = () => undefined, memory?: RuntimeParts["memory"]) {
    const { layouts, config, shards } = job;
    const optimizer = optimizerParts(config, layouts.parameters);
    const arena = new Arena(
      CREW_BYTES + parameterBytes(layouts.parameters, optimizer) + reductionBytes(layouts, shards),
    );
    const kernels = instantiateKernels(arena.memory);
    const crew = new Crew(arena, kernels, optimizer);
    this.#store = new ParameterStore(arena, kernels, layouts.parameters, crew, () => config.optimizer.learningRate);
    initialParameters(job.model, layouts.parameters, config.seed, this.#store.vector);
    const fresh = { steps: stepNumber(0), steering: steeringFrom() };
    this.state = initialState(
      { ...job.settings, epochs },
      { ...fresh, fingerprint: undefined, quarantined: [], auditKey: 1 },
      0,
    );
    this.#hijack = hijack;
    this.runtime = new CoordinatorRuntime({
      state: this.state,
      plan: job.plan,
      layouts,
      arena,
      kernels,
      store: this.#store,
      reduction: new Reduction(arena, kernels, crew, layouts, shards),
      referee: new EngineReferee(() => referencePool(job.plan)),
      memory,
      clock: this.clock,
      notify: () => {},
      record: () => {},
      checkpoint: () => {},
      keepBest: () => {},
    });
    void this.runtime.finished.then((outcome) => (this.ended = String(outcome)));
  }

  get hash(): string {
    return parametersSha256(job.layouts.parameters, this.#store.vector);
  }

  /** Starts a worker, again and again when it ends before the run does. */
  startWorker(name: string): void {
    const runtime = new WorkerRuntime({
      settings: { name, version: job.settings.version, threads: 1, patience: 1e9, token },
      clock: this.clock,
      connect: (listener) => this.#hijack(listener) ?? this.#connect(listener),
      openPool: async (plan) => referencePool(plan),
      random: () => 0.5,
      say: () => {},
    });
    const again = (): void => {
      if (this.ended === undefined) this.startWorker(name);
    };
    runtime.finished.then(again, again);
  }

  /** Ends all connections between honest processes. */
  breakConnections(): void {
    for (const close of this.#open) close();
  }

  /** Delivers the frame that waits longest, and lets what was computed meanwhile arrive. */
  async deliver(): Promise<void> {
    this.#underWay.shift()?.();
    await new Promise((resolve) => setImmediate(resolve));
  }

  #connect(listener: ClientListener): Client {
    let isOpen = true;
    const send = (action: () => void): void => void this.#underWay.push(() => isOpen && action());
    const close = (): void => {
      if (!isOpen) return;
      this.#underWay.push(() => {
        if (!isOpen) return;
        isOpen = false;
        this.#open.delete(close);
        handlers.onClose("closed");
        listener.onClose("closed");
      });
    };
    const remember = (frames: Frame[], frame: Frame): void => {
      frames.unshift(frame.map((fragment) => Buffer.from(fragment)));
      frames.length = Math.min(frames.length, 30);
    };
    const toWorker = new Outbox((frame, flushed) => {
      send(() => {
        remember(this.heard.coordinator, frame);
        listener.onFrame(frame);
      });
      this.#underWay.push(flushed);
    });
    const toCoordinator = new Outbox((frame, flushed) => {
      send(() => {
        remember(this.heard.worker, frame);
        handlers.onFrame(frame);
      });
      this.#underWay.push(flushed);
    });
    this.#open.add(close);
    send(() => listener.onOpen());
    const handlers = this.runtime.onConnection({
      outbox: toWorker,
      token,
      isLocal: this.isLocal,
      isOwn: false,
      ...unknownLink,
      proven() {},
      close,
    });
    return { outbox: toCoordinator, close, terminate: close };
  }
}

/** The hash that a run of so many epochs ends in when nobody disturbs it. */
export async function undisturbed(epochs: number): Promise<string> {
  const cluster = new Cluster(epochs);
  for (const name of ["a", "b"]) cluster.startWorker(name);
  while (cluster.ended === undefined) {
    cluster.clock.advance(1);
    await cluster.deliver();
  }
  if (cluster.ended !== "completed") throw new Error(cluster.ended);
  return cluster.hash;
}
