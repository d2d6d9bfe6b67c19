/**
 * A worker that costs little, so that one process can hold many: the production runtime, WebSocket client and compute pool,
 * with the reference evaluator on this thread in place of threads with onnxruntime. It can be killed as a process can.
 */
import { systemClock } from "../../shared/clock.ts";
import type { Cancel, Clock } from "../../shared/clock.ts";
import { ComputePool } from "../../shared/compute/pool.ts";
import { openData } from "../../shared/data/open.ts";
import type { OpenedData } from "../../shared/data/open.ts";
import type { DataSpec } from "../../shared/data/spec.ts";
import type { RunPlan } from "../../shared/protocol/messages.ts";
import { readToken } from "../../shared/token.ts";
import { version } from "../../shared/version.ts";
import { connect } from "../../worker/client.ts";
import type { Client } from "../../worker/client.ts";
import { WorkerRuntime } from "../../worker/runtime.ts";
import { inlineThreads } from "../support/inline-threads.ts";

/** Milliseconds without a coordinator after which it gives up. */
const PATIENCE = 60_000;
/** How often it looks for parameters in shared memory, where a thread would be woken by the system. */
const LOOK_EVERY = 2;

/** Read once a process: its arrays lie in shared memory, of which every worker only has views. */
const opened = new Map<string, Promise<OpenedData>>();

function dataOf(spec: DataSpec): Promise<OpenedData> {
  const key = JSON.stringify(spec);
  const data = opened.get(key) ?? openData(spec);
  opened.set(key, data);
  return data;
}

export class LightWorker {
  /** As WorkerRuntime's; of one that was killed nothing is heard. */
  readonly finished: Promise<void>;
  readonly #runtime: WorkerRuntime;
  readonly #timers = new Set<Cancel>();
  #client: Client | undefined;
  #pool: Promise<ComputePool> | undefined;
  #alive = true;

  constructor(address: URL, name: string) {
    const token = readToken(undefined, process.env);
    this.#runtime = new WorkerRuntime({
      settings: { name, version, threads: 1, patience: PATIENCE, token },
      clock: this.#clock(),
      connect: (listener) => (this.#client = connect(address, {}, listener)),
      openPool: (plan) => (this.#pool = this.#openPool(plan)),
      random: Math.random,
      say: () => {},
    });
    this.finished = this.#runtime.finished;
  }

  /** Leaves the run in good order. */
  leave(): void {
    this.#runtime.leave();
  }

  /** Ends as a process does that is killed: its socket, files and memory are gone, and it does nothing any more. */
  kill(): void {
    this.#alive = false;
    for (const cancel of this.#timers) cancel();
    this.#client?.terminate();
    void this.#pool?.then((pool) => pool.close());
  }

  async #openPool(plan: RunPlan): Promise<ComputePool> {
    const data = await dataOf(plan.data as DataSpec);
    return new ComputePool(plan, 1, data, (setup, onProgress) => {
      const threads = inlineThreads(setup, onProgress);
      this.#clock().every(LOOK_EVERY, () => threads.wake());
      return threads;
    });
  }

  /** The system's clock, whose timers end with this worker. */
  #clock(): Clock {
    return {
      now: () => systemClock.now(),
      after: (milliseconds, action) => {
        const cancel = systemClock.after(milliseconds, () => {
          this.#timers.delete(cancel);
          action();
        });
        return this.#kept(cancel);
      },
      every: (milliseconds, action) => this.#kept(systemClock.every(milliseconds, action)),
    };
  }

  #kept(cancel: Cancel): Cancel {
    if (this.#alive) this.#timers.add(cancel);
    else cancel();
    return () => {
      this.#timers.delete(cancel);
      cancel();
    };
  }
}
