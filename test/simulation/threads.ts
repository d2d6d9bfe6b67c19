/**
 * The compute threads of a simulated worker: tasks take virtual time. While one runs its output holds garbage, and it
 * reads the parameters as late as it can, so that bytes which are used too early or overwritten too early show.
 */
import { bucketStarts, firstByteOf } from "../../shared/gradient/buckets.ts";
import type { Threads } from "../../shared/compute/threads.ts";
import type { ComputeResult, ComputeTask, Progress, ThreadSetup } from "../../shared/compute/task.ts";
import { compute, outputBytes } from "./arithmetic.ts";
import { readinessIn } from "../support/inline-threads.ts";
import { job } from "./job.ts";
import type { Ledger } from "./ledger.ts";
import { buffersInUse } from "./memory.ts";
import type { SimulatedProcess } from "./process.ts";
import type { WorkerPart } from "./schedule.ts";

/** How fast a worker's machine is, for now. */
export interface Speed {
  /** Milliseconds a sample. */
  pace: number;
  slowUntil: number;
}

const SLOWNESS = 8;

const starts = bucketStarts(job.layouts.parameters);
/** Where the sums of the last bucket begin: of tasks that tell of any it is told while they are under way. */
const TOLD_FROM = firstByteOf(starts, starts.length - 1);

export class SimulatedThreads implements Threads {
  readonly #process: SimulatedProcess;
  readonly #setup: ThreadSetup;
  readonly #onProgress: (progress: Progress) => void;
  readonly #speed: Speed;
  readonly #ledger: Ledger;
  readonly #lies: WorkerPart["lies"];
  readonly #waiting: (() => void)[] = [];
  /** Tasks that each keep a thread waiting for parameters. */
  #blocked: { readonly task: ComputeTask; readonly resume: () => void }[] = [];
  #free: number;
  #underWay = 0;
  #idle: (() => void) | undefined;

  constructor(
    process: SimulatedProcess,
    setup: ThreadSetup,
    onProgress: (progress: Progress) => void,
    count: number,
    speed: Speed,
    ledger: Ledger,
    lies: WorkerPart["lies"],
  ) {
    this.#lies = lies;
    this.#process = process;
    this.#setup = setup;
    this.#onProgress = onProgress;
    this.#free = count;
    this.#speed = speed;
    this.#ledger = ledger;
  }

  run([task, ...others]: readonly ComputeTask[]): Promise<ComputeResult[]> {
    // Nothing is announced here, so every series is one task.
    if (task === undefined || others.length > 0) throw new Error("a series of several tasks");
    this.#underWay += 1;
    return new Promise((resolve) => {
      this.#waiting.push(() => this.#start(task, (result) => resolve([result])));
      this.#next();
    });
  }

  async close(): Promise<void> {
    if (this.#underWay > 0) await new Promise<void>((resolve) => (this.#idle = resolve));
  }

  #next(): void {
    if (this.#free === 0) return;
    const start = this.#waiting.shift();
    if (start === undefined) return;
    this.#free -= 1;
    start();
  }

  wake(): void {
    const due = this.#blocked.filter(({ task }) => readinessIn(this.#setup, task) !== "waiting");
    this.#blocked = this.#blocked.filter((each) => !due.includes(each));
    for (const { resume } of due) resume();
  }

  #start(task: ComputeTask, resolve: (result: ComputeResult) => void): void {
    const resume = (): void => {
      const found = readinessIn(this.#setup, task);
      if (found === "ready") this.#compute(task, resolve);
      else if (found !== "waiting") this.#end(resolve, found);
    };
    this.#blocked.push({ task, resume });
    this.wake();
  }

  #compute(task: ComputeTask, resolve: (result: ComputeResult) => void): void {
    const { world } = this.#process;
    this.#spoil(task, outputBytes(task));
    const rows = task.sizes.reduce((sum, size) => sum + size, 0);
    const slowness = world.now < this.#speed.slowUntil ? SLOWNESS : 1;
    const duration = world.between(0.5, 1.5) * this.#speed.pace * slowness * (1 + rows);
    const { ticket } = task;
    if (ticket !== undefined)
      this.#process.after(world.between(0.3, 1) * duration, () => void this.#computed(() => this.#tell(task, ticket)));
    this.#process.after(duration, () => void this.#computed(() => this.#finish(task, duration, resolve)));
  }

  /** Garbage for the first bytes of what a task has not computed yet. */
  #spoil(task: ComputeTask, bytes: number): void {
    for (const output of task.outputs) new Uint8Array(this.#setup.memory.buffer, output, bytes).fill(0xff);
  }

  async #computed(part: () => Promise<void>): Promise<void> {
    const { world } = this.#process;
    world.computing += 1;
    try {
      await part();
    } catch (error) {
      world.fail(error);
    }
    world.computing -= 1;
  }

  /** The last bucket's sums are there, all others are not. */
  async #tell(task: ComputeTask, ticket: number): Promise<void> {
    await compute(this.#setup.memory, task);
    this.#spoil(task, TOLD_FROM);
    this.#onProgress({ ticket, from: TOLD_FROM });
  }

  async #finish(task: ComputeTask, duration: number, resolve: (result: ComputeResult) => void): Promise<void> {
    this.#ledger.gathered(task, await compute(this.#setup.memory, task));
    this.#lie(task);
    this.#end(resolve, { microseconds: (1000 * duration) / this.#setup.threads, announced: false, calls: [] });
  }

  #end(resolve: (result: ComputeResult) => void, result: ComputeResult): void {
    const { world } = this.#process;
    this.#free += 1;
    this.#underWay -= 1;
    resolve(result);
    this.#next();
    if (this.#underWay > 0) return;
    this.#idle?.();
    // Whoever waits for the last result takes it before the next event.
    world.after(0, () => this.#process.perform(() => this.#checkBuffers()));
  }

  /** Spoils a sum now and then; never the first step's, which the probe of the arithmetic looks like. */
  #lie(task: ComputeTask): void {
    const { world } = this.#process;
    if (this.#lies === undefined || task.step === 0 || world.random() < 0.6) return;
    // What was told stays as it is: the end is told first.
    const length = task.ticket === undefined ? outputBytes(task) : TOLD_FROM;
    if (this.#lies === "last" && task.ticket !== undefined) return;
    const bytes = new Uint8Array(this.#setup.memory.buffer, task.outputs[0], length);
    if (this.#lies === "nan") bytes.fill(0xff);
    // The last metric is on a line of its own.
    else if (this.#lies === "last") bytes.fill(0xff, length - 64, length - 60);
    else bytes[Math.floor(world.random() * 4)]! ^= 1 << Math.floor(world.random() * 8);
    world.tell?.(`${this.#process.name} lies about ${task.kind} ${task.step}`);
  }

  #checkBuffers(): void {
    const count = buffersInUse(this.#process) - this.#process.sending;
    if (this.#underWay === 0 && this.#idle === undefined && count > 0) {
      throw new Error(`${this.#process.name} computes nothing and holds ${count} buffers of which it sends nothing`);
    }
  }
}
