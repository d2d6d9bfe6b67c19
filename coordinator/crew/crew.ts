/** The coordinator's main thread, and for long vectors other threads beside it, at work on one job at a time. */
import { availableParallelism } from "node:os";
import type { Kernels } from "../../shared/kernels/index.ts";
import type { Arena } from "../../shared/memory/arena.ts";
import { BLOCK_FLOATS } from "../../shared/memory/blocks.ts";
import { optimizerOf } from "../../shared/optim/optimizer.ts";
import type { Optimizer, Surroundings } from "../../shared/optim/optimizer.ts";
import type { OptimizerSpec } from "../../shared/optim/spec.ts";
import { threadFile, ThreadPool } from "../../shared/thread-pool.ts";
import { Apart } from "./apart.ts";
import { Desk, DESK_BYTES, MOST_ADDITIONS } from "./desk.ts";
import { doAlone } from "./job.ts";
import type { Job, Outcome } from "./job.ts";

/** Adding is as fast as memory is, which a few threads use up. */
const MOST_THREADS = 3;
/** Shorter vectors are done before another thread wakes. */
const WORTH_A_CALL = 262_144;

const SCRATCH_BYTES = 4 * BLOCK_FLOATS;

/** Bytes of an arena that a crew needs. */
export const CREW_BYTES = DESK_BYTES + 64 + (1 + MOST_THREADS) * SCRATCH_BYTES;

/** What a thread is given: the memory, where things lie in it, and what the optimizer is made of. */
export interface CrewSetup extends OptimizerParts {
  readonly memory: WebAssembly.Memory;
  readonly desk: number;
}

/** Each thread makes its own optimizer of these. */
export interface OptimizerParts {
  readonly spec: OptimizerSpec;
  readonly surroundings: Surroundings;
}

export class Crew {
  readonly optimizer: Optimizer;
  readonly #arena: Arena;
  readonly #kernels: Kernels;
  readonly #setup: CrewSetup;
  readonly #desk: Desk;
  readonly #scratch: number;
  #threads: ThreadPool<number, void> | undefined;
  /** Where there are threads. */
  #apart: Apart | undefined;

  /** Throws CONFIG_INVALID for groups that name no parameter. */
  constructor(arena: Arena, kernels: Kernels, parts: OptimizerParts) {
    this.#arena = arena;
    this.#kernels = kernels;
    this.optimizer = optimizerOf(parts.spec, parts.surroundings);
    const desk = arena.allocate(DESK_BYTES);
    this.#setup = { memory: arena.memory, desk, ...parts };
    this.#desk = new Desk(arena.memory, desk);
    this.#scratch = arena.allocate(SCRATCH_BYTES);
  }

  /** Hires threads if vectors of `floats` are worth it: as many as there are processors beside this thread's, up to three. */
  hire(floats: number, processors = availableParallelism()): void {
    const threads = floats < WORTH_A_CALL ? 0 : Math.min(MOST_THREADS, processors - 1);
    if (threads === 0) return;
    const file = threadFile(import.meta.url, "thread");
    const pool = new ThreadPool<number, void>({ file, threads, workerData: this.#setup });
    this.#threads = pool;
    this.#apart = new Apart();
    for (let thread = 0; thread < threads; thread++) {
      // Each stays until the desk closes.
      pool.run(this.#arena.allocate(SCRATCH_BYTES)).catch((error: unknown) => {
        process.nextTick(() => {
          throw error;
        });
      });
    }
  }

  /** Does a job; blocks until it is done. */
  run(job: Job): Outcome {
    const { additions, first = 0, count } = job;
    if (this.#apart === undefined || count - first < WORTH_A_CALL || additions.length > MOST_ADDITIONS)
      return doAlone(this.#kernels, this.optimizer, job, this.#scratch);
    this.#apart.keep(this.#desk.members);
    this.#desk.put(job);
    this.#desk.work(this.#kernels, this.optimizer, this.#scratch);
    return this.#desk.wait();
  }

  async close(): Promise<void> {
    this.#desk.close();
    await this.#threads?.close();
  }
}
