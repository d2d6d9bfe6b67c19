/**
 * A worker's arithmetic: the data, the memory, and the piscina pool whose threads run the engine. The main thread only cuts assignments into tasks and adds partial sums, so its socket is never kept waiting.
 */
import { createHash } from "node:crypto";
import { openData } from "../data/open.ts";
import type { OpenedData } from "../data/open.ts";
import type { Reading } from "../data/reading.ts";
import type { DataSpec } from "../data/spec.ts";
import { LockstepError } from "../errors.ts";
import { partialLayouts } from "../gradient/partial.ts";
import { cutIntoShards } from "../gradient/plan.ts";
import { stepNumber } from "../ids.ts";
import { TreeReducer } from "../gradient/reducer.ts";
import type { TreeNode } from "../gradient/tree.ts";
import { signalOf } from "../memory/signal.ts";
import type { Assignment, RunPlan, WorkKind, WorkName } from "../protocol/messages.ts";
import { randomStream } from "../random.ts";
import { checkPlan } from "./check-plan.ts";
import { nodesToCompute } from "./cut.ts";
import { ComputeMemory } from "./memory.ts";
import type { Announcement, ComputeResult, ComputeTask } from "./task.ts";
import { piscinaThreads, TASKS_PER_THREAD } from "./threads.ts";
import type { StartThreads, Threads } from "./threads.ts";

/** How the plan's data is read. */
export const readingOf = ({ validation, seed, dataMemory }: RunPlan): Reading => ({
  validation,
  seed,
  memory: dataMemory * 2 ** 20,
});

/** The plan's data, from this machine. Throws DATA_MISSING, DATA_INVALID, DATA_MISMATCH. */
export async function readHere(plan: RunPlan): Promise<OpenedData> {
  const data = await openData(plan.data as DataSpec, readingOf(plan));
  // The coordinator checks this too; but with data of another size even the probe would fail.
  if (data.sha256 === plan.dataSha256) return data;
  throw new LockstepError(
    "DATA_MISMATCH",
    `this worker's data has SHA-256 ${data.sha256}, the run trains on ${plan.dataSha256}`,
    "give the worker a copy of the coordinator's data",
  );
}

/** Random values among the parameters of the probe, which repeat. */
const PROBE_VALUES = 10_007;

/** The sum over one assigned subtree. */
export interface Sum {
  readonly node: TreeNode;
  /** Where it is; the receiver releases it. */
  readonly buffer: number;
  /** Time of computing since the assignment's last sum. */
  readonly computeMicroseconds: number;
  /** Whether the coordinator was told that it is in shared memory. */
  readonly announced: boolean;
}

export type OnSum = (work: WorkName, sum: Sum) => void;

/** An assignment that is not finished. */
interface Job {
  readonly work: WorkName;
  readonly reducer: TreeReducer;
  readonly onSum: OnSum;
  tasksLeft: number;
  microseconds: number;
  forgotten: boolean;
}

/** A task that is not handed out. Where it puts its sum is decided when it is. */
interface Waiting {
  readonly job: Job;
  readonly node: TreeNode;
  readonly task: Omit<ComputeTask, "output" | "awaits" | "announcement">;
}

/** Works follow one another: an evaluation comes before the step that is taken with the same parameters. */
const rankOf = ({ kind, step }: WorkName): number => 2 * step + (kind === "train" ? 1 : 0);
const isSame = (one: WorkName, other: WorkName): boolean => rankOf(one) === rankOf(other);

export class ComputePool {
  readonly dataSha256: string;
  readonly layoutHash: string;
  readonly memory: ComputeMemory;
  readonly #plan: RunPlan;
  readonly #threads: number;
  readonly #pool: Threads;
  readonly #samples: Readonly<Record<WorkKind, number>>;
  readonly #jobs = new Set<Job>();
  /** In the order of their works. */
  readonly #queue: Waiting[] = [];
  readonly #interrupts: Int32Array;
  #running = 0;
  /** The latest work of which a task was handed out. */
  #latest = Number.NEGATIVE_INFINITY;
  #fingerprint: Promise<string> | undefined;

  /** @param start starts the threads */
  constructor(plan: RunPlan, threads: number, data: OpenedData, start: StartThreads) {
    const layouts = partialLayouts(plan.parameters, plan.metrics, plan.evaluated);
    checkPlan(plan, layouts);
    this.#plan = plan;
    this.#threads = threads;
    // Sums that wait for their sibling cover different shards, of this step and of one that has just become stale.
    this.memory = new ComputeMemory(layouts, 2 * plan.shards + threads);
    this.#pool = start({
      threads,
      memory: this.memory.arena.memory,
      arrivals: this.memory.arrivalsOffset,
      interrupts: this.memory.interruptsOffset,
      plan,
      train: data.train.transfer(),
      test: data.test?.transfer(),
    });
    this.#interrupts = new Int32Array(this.memory.arena.memory.buffer, this.memory.interruptsOffset, 1);
    this.#samples = { train: data.train.length, evaluate: data.test?.length ?? 0 };
    this.dataSha256 = data.sha256;
    this.layoutHash = layouts.parameters.hash;
  }

  /**
   * Reads the plan's data and starts the threads. Throws DATA_MISSING, DATA_INVALID, DATA_MISMATCH, GRAPH_INVALID.
   * @param read where the data is from: this machine unless said otherwise
   */
  static async open(plan: RunPlan, threads: number, read = readHere): Promise<ComputePool> {
    return new ComputePool(plan, threads, await read(plan), piscinaThreads(threads));
  }

  /**
   * SHA-256 of the gradient of the run's first shard at random parameters: other arithmetic gives another hash. Computed
   * once: after a reconnect, threads may still read the parameters that the probe would overwrite.
   */
  fingerprint(): Promise<string> {
    this.#fingerprint ??= this.#probe();
    return this.#fingerprint;
  }

  async #probe(): Promise<string> {
    const { seed, batch, shards } = this.#plan;
    const stream = randomStream(seed, "probe");
    const { memory } = this;
    const { buffer, byteOffset, byteLength } = memory.parametersOf(0);
    const parameters = new Float32Array(buffer, byteOffset, byteLength / 4);
    // Drawing each of millions of values would block the process for seconds.
    const drawn = Math.min(PROBE_VALUES, parameters.length);
    for (let index = 0; index < drawn; index++) parameters[index] = 0.1 * (stream.uniform(index) - 0.5);
    for (let index = drawn; index < parameters.length; index += drawn) parameters.copyWithin(index, 0, drawn);
    const { sizes } = cutIntoShards(batch, shards);
    const output = memory.acquire("train")!;
    const task = {
      kind: "train",
      step: 0,
      epoch: 0,
      offset: 0,
      first: 0,
      sizes: [sizes[0]!],
      parameters: memory.offsetOf(0),
      output,
    } as const;
    await this.#pool.run(task);
    const hash = createHash("sha256").update(memory.bytesOf("train", output)).digest("hex");
    memory.release("train", output);
    return hash;
  }

  release(kind: WorkKind, buffer: number): void {
    this.memory.release(kind, buffer);
    this.#dispatch();
  }

  /** Forgets a work, or all: `onSum` is not called for it any more, and what threads still compute is thrown away. */
  forget(work?: WorkName): void {
    const forgotten = [...this.#jobs].filter((job) => work === undefined || isSame(job.work, work));
    if (forgotten.length === 0) return;
    for (const job of forgotten) {
      job.forgotten = true;
      this.#jobs.delete(job);
      for (const buffer of job.reducer.waiting) this.memory.release(job.work.kind, buffer);
    }
    this.#queue.splice(0, Infinity, ...this.#queue.filter(({ job }) => !job.forgotten));
    this.#interrupt();
  }

  /** Why an assignment is none of this run, however well-formed: it names samples or shards that there are not. */
  objectionTo({ work, works, offset, samples, shards }: Assignment): LockstepError | undefined {
    const length = this.#samples[work.kind];
    const isPart =
      work.kind === "train"
        ? samples <= this.#plan.batch && cutIntoShards(samples, this.#plan.shards).sizes.length === shards
        : samples === length;
    const end = offset + works * samples;
    if (isPart && end <= length) return undefined;
    const sentence = `assigned samples ${offset} to ${end} of ${length} in ${shards} shards, to ${work.kind}`;
    return new LockstepError("PROTOCOL_VIOLATION", sentence);
  }

  /** Computes an assignment to which there is no objection, each work once its parameters are here. */
  compute(assignment: Assignment, onSum: OnSum): void {
    const { kind, step } = assignment.work;
    for (let index = 0; index < assignment.works; index++) {
      const work = { kind, step: stepNumber(step + index) };
      this.#cut(work, assignment.offset + index * assignment.samples, assignment, onSum);
    }
    // A thread that waits for later parameters would wait for those in vain while nobody computes this.
    if (rankOf(assignment.work) < this.#latest) this.#interrupt();
    this.#dispatch();
  }

  /** The parameters of a version are here whole. In shared memory it is the coordinator who says so. */
  arrived(version: number): void {
    this.memory.arrivals.set(signalOf(version));
    this.#pool.wake();
  }

  /** Cuts one work of an assignment into tasks. */
  #cut(work: WorkName, offset: number, { epoch, samples, shards, nodes }: Assignment, onSum: OnSum): void {
    const { kind, step } = work;
    const { memory } = this;
    const cut = cutIntoShards(samples, shards);
    const targets = nodes.map(([start, end]) => ({ start, end }));
    const reducer = new TreeReducer(shards, targets, (left, right) => memory.add(kind, left, right));
    const tasks = nodesToCompute(targets, cut.sizes, this.#threads);
    const job: Job = { work, reducer, onSum, tasksLeft: tasks.length, microseconds: 0, forgotten: false };
    this.#jobs.add(job);
    for (const node of tasks) {
      const first = cut.starts[node.start]!;
      const sizes = cut.sizes.slice(node.start, node.end);
      this.#enqueue({
        job,
        node,
        task: { kind, step, epoch, offset, first, sizes, parameters: memory.offsetOf(step) },
      });
    }
  }

  #enqueue(waiting: Waiting): void {
    const later = this.#queue.findIndex(({ job }) => rankOf(job.work) > rankOf(waiting.job.work));
    this.#queue.splice(later === -1 ? this.#queue.length : later, 0, waiting);
  }

  #interrupt(): void {
    Atomics.add(this.#interrupts, 0, 1);
    this.#latest = Number.NEGATIVE_INFINITY;
    this.#pool.wake();
  }

  #dispatch(): void {
    while (this.#queue.length > 0 && this.#running < TASKS_PER_THREAD * this.#threads) {
      const buffer = this.memory.acquire(this.#queue[0]!.job.work.kind);
      if (buffer === undefined) return;
      this.#start(this.#queue.shift()!, buffer);
    }
  }

  #start(waiting: Waiting, output: number): void {
    const { work } = waiting.job;
    const interrupts = Atomics.load(this.#interrupts, 0);
    this.#running += 1;
    this.#latest = Math.max(this.#latest, rankOf(work));
    const awaits = { arrival: signalOf(work.step), interrupts };
    this.#pool
      .run({ ...waiting.task, output, awaits, announcement: this.#announcementOf(waiting, output) })
      .then((result) => {
        this.#running -= 1;
        this.#ended(waiting, output, result);
        this.#dispatch();
      })
      .catch((error: unknown) => {
        // A program that fails once fails always: there is nothing to go on with.
        process.nextTick(() => {
          throw error;
        });
      });
  }

  /** What the thread may say, if this task alone makes a partial in shared memory. */
  #announcementOf({ job: { work, reducer }, node }: Waiting, output: number): Announcement | undefined {
    const place = reducer.isTarget(node) ? this.memory.placeOf(work.kind, output) : undefined;
    return place && { ...place, work, node: [node.start, node.end] };
  }

  #ended(waiting: Waiting, output: number, result: ComputeResult): void {
    const { job, node } = waiting;
    if (job.forgotten || typeof result === "string") {
      this.memory.release(job.work.kind, output);
      if (!job.forgotten && result === "put off") this.#enqueue(waiting);
      return;
    }
    job.microseconds += (1000 * result.milliseconds) / this.#threads;
    job.tasksLeft -= 1;
    if (job.tasksLeft === 0) this.#jobs.delete(job);
    const sum = job.reducer.add(node, output);
    if (sum === undefined) return;
    const computeMicroseconds = Math.round(job.microseconds);
    job.microseconds = 0;
    job.onSum(job.work, { ...sum, computeMicroseconds, announced: result.announced });
  }

  /** Waits for what is inside the engine, then ends the threads. */
  async close(): Promise<void> {
    this.forget();
    await this.#pool.close();
    this.memory.unshare();
  }
}
