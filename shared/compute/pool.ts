/**
 * A worker's arithmetic: the data, the memory, and the piscina pool whose threads run the engine. The main thread only cuts assignments
 * into tasks and adds partial sums, so its socket is not kept waiting; where that gains nothing, it computes itself (see which-thread.ts).
 */
import { openData } from "../data/open.ts";
import type { OpenedData } from "../data/open.ts";
import { readingOf } from "../data/reading.ts";
import type { DataSpec } from "../data/spec.ts";
import { LockstepError } from "../errors.ts";
import { signalOf } from "../gradient/arrivals.ts";
import { bucketStarts, bucketsWithin } from "../gradient/buckets.ts";
import { partialLayouts } from "../gradient/partial.ts";
import { cutIntoShards } from "../gradient/plan.ts";
import { stepNumber } from "../ids.ts";
import { TreeReducer } from "../gradient/reducer.ts";
import { toNode } from "../gradient/tree.ts";
import { MOST_CALLS } from "../protocol/messages.ts";
import type { Assignment, RunPlan, WorkKind, WorkName } from "../protocol/messages.ts";
import { isSameWork } from "../protocol/work-name.ts";
import { inBackground } from "./background.ts";
import { checkPlan } from "./check-plan.ts";
import { nodesToCompute } from "./cut.ts";
import { Dispatcher } from "./dispatcher.ts";
import type { Computed } from "./dispatcher.ts";
import { suitsSocketThread } from "./which-thread.ts";
import { ComputeMemory } from "./memory.ts";
import { probe } from "./probe.ts";
import type { OnSum, OpenWork, PendingTask } from "./queue.ts";
import { piscinaThreads } from "./threads.ts";
import type { StartThreads, Threads } from "./threads.ts";

/** The plan's data, from this machine. Throws DATA_MISSING, DATA_INVALID, DATA_MISMATCH. */
export async function readHere(plan: RunPlan): Promise<OpenedData> {
  const data = await openData(plan.data as DataSpec, readingOf(plan));
  // The coordinator checks this too; but with data of another size even the probe would fail.
  if (data.sha256 === plan.dataSha256) return data;
  data.close();
  throw new LockstepError(
    "DATA_MISMATCH",
    `this worker's data has SHA-256 ${data.sha256}, the run trains on ${plan.dataSha256}`,
    "give the worker a copy of the coordinator's data",
  );
}

/** A program that fails once fails always: there is nothing to go on with. */
function endProcess(error: unknown): void {
  process.nextTick(() => {
    throw error;
  });
}

export class ComputePool {
  readonly dataSha256: string;
  readonly layoutHash: string;
  readonly memory: ComputeMemory;
  readonly #plan: RunPlan;
  readonly #threads: number;
  readonly #pool: Threads;
  readonly #dispatcher: Dispatcher;
  readonly #samples: Readonly<Record<WorkKind, number>>;
  readonly #open = new Set<OpenWork>();
  readonly #buckets: readonly number[];
  /** What it has read itself, and closes. */
  #data: OpenedData | undefined;
  #fingerprint: Promise<string> | undefined;

  /**
   * @param data stays open at least until the pool is closed
   * @param start starts the threads
   * @param onFailure called where one of them cannot compute an assignment: some of its sums are then never told of
   */
  constructor(
    plan: RunPlan,
    threads: number,
    data: OpenedData,
    start: StartThreads,
    onFailure: (error: unknown) => void = endProcess,
  ) {
    const layouts = partialLayouts(plan.parameters, plan.metrics, plan.evaluated);
    checkPlan(plan, layouts);
    this.#plan = plan;
    this.#threads = threads;
    // Sums that wait for their sibling cover different shards, of this step and of one that has just become stale.
    this.memory = new ComputeMemory(layouts, 2 * plan.shards + threads);
    this.#buckets = bucketStarts(layouts.parameters);
    const setup = {
      threads,
      memory: this.memory.arena.memory,
      arrivals: this.memory.arrivalsOffset,
      interrupts: this.memory.interruptsOffset,
      plan,
      train: data.train.transfer(),
      test: data.test?.transfer(),
    };
    this.#pool = start(setup, (progress) => this.#dispatcher.progressed(progress));
    const buckets = this.#buckets.length;
    this.#dispatcher = new Dispatcher({ memory: this.memory, threads, buckets }, this.#pool, {
      onPart: ({ work, node }, buffer, from, until) =>
        work.onSum(work.name, { node, buffer, from, until, computeMicroseconds: 0, announced: false, calls: [] }),
      onComputed: (pending, buffer, result, until) => this.#summed(pending, buffer, result, until),
      onPassed: ({ work }) => this.#open.delete(work),
      onFailure,
    });
    this.#samples = { train: data.train.length, evaluate: data.test?.length ?? 0 };
    this.dataSha256 = data.sha256;
    this.layoutHash = layouts.parameters.hash;
  }

  /**
   * Reads the plan's data and starts what computes it. Throws DATA_MISSING, DATA_INVALID, DATA_MISMATCH, GRAPH_INVALID.
   * @param isApart whether it will never be given memory to share with a coordinator
   * @param read where the data is from: this machine unless said otherwise
   */
  static async open(plan: RunPlan, threads: number, isApart: boolean, read = readHere): Promise<ComputePool> {
    const data = await read(plan);
    try {
      const pool = new ComputePool(plan, threads, data, await starterOf(plan, threads, isApart));
      pool.#data = data;
      return pool;
    } catch (error) {
      data.close();
      throw error;
    }
  }

  /**
   * SHA-256 of the gradient of the run's first shard at random parameters: other arithmetic gives another hash. Computed
   * once: after a reconnect, threads may still read the parameters that the probe would overwrite.
   */
  fingerprint(): Promise<string> {
    this.#fingerprint ??= probe(this.#plan, this.memory, this.#pool);
    return this.#fingerprint;
  }

  release(kind: WorkKind, buffer: number): void {
    this.memory.release(kind, buffer);
    this.#dispatcher.handOut();
  }

  /** Forgets a work, or all: `onSum` is not called for it any more, and what threads still compute is thrown away. */
  forget(name?: WorkName): void {
    const forgotten = [...this.#open].filter((work) => name === undefined || isSameWork(work.name, name));
    if (forgotten.length === 0) return;
    for (const work of forgotten) {
      work.forgotten = true;
      this.#open.delete(work);
      for (const { buffer } of work.reducer.waiting) this.memory.release(work.name.kind, buffer);
    }
    this.#dispatcher.clean();
    // For parameters that have arrived no thread waits any more, unless the coordinator is another or takes the whole of them
    // back, as it may while a task is between two stages.
    const { value } = this.memory.arrivals;
    const mayWait =
      name === undefined || signalOf(name.step) > value || forgotten.some((work) => this.#dispatcher.isInBuckets(work));
    if (mayWait) this.#dispatcher.interrupt();
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
      const name = { kind, step: stepNumber(step + index) };
      this.#cut(name, assignment.offset + index * assignment.samples, assignment, onSum);
    }
    // A thread that waits for later parameters would wait for those in vain while nobody computes this.
    if (this.#dispatcher.hasLaterThan(assignment.work)) this.#dispatcher.interrupt();
    this.#dispatcher.handOut();
  }

  /**
   * The parameters of a version are here, whole or their first so many bytes. In shared memory it is the coordinator who says
   * so.
   */
  arrived(version: number, bytes?: number): void {
    const { arrivals } = this.memory;
    const buckets = bytes === undefined ? undefined : bucketsWithin(this.#buckets, bytes);
    const signal = signalOf(version, buckets);
    // None of a version's buckets would say that the version before is whole, of which the rest may never come. And what comes
    // again takes nothing back.
    if (buckets === 0 || signal <= arrivals.value) return;
    arrivals.set(signal);
    this.#pool.wake();
  }

  /** Cuts one work of an assignment into tasks. */
  #cut(name: WorkName, offset: number, { epoch, samples, shards, nodes }: Assignment, onSum: OnSum): void {
    const { kind, step } = name;
    const { memory } = this;
    const cut = cutIntoShards(samples, shards);
    const targets = nodes.map(toNode);
    const reducer = new TreeReducer(shards, targets, (left, right) => memory.add(kind, left, right));
    const tasks = nodesToCompute(targets, cut.sizes, this.#threads);
    const work: OpenWork = {
      name,
      reducer,
      onSum,
      tasks: tasks.length,
      tasksLeft: tasks.length,
      microseconds: 0,
      calls: [],
      forgotten: false,
    };
    this.#open.add(work);
    for (const node of tasks) {
      const first = cut.starts[node.start]!;
      const sizes = cut.sizes.slice(node.start, node.end);
      this.#dispatcher.add({
        work,
        node,
        task: { kind, step, epoch, offset, first, sizes, parameters: memory.offsetOf(step) },
      });
    }
  }

  /** A task has put its sum into a buffer; with others' it may make one that was asked for. */
  #summed({ work, node }: PendingTask, buffer: number, result: Computed, until: number): void {
    work.microseconds += result.microseconds;
    work.calls.push(...result.calls);
    work.tasksLeft -= 1;
    if (work.tasksLeft === 0) this.#open.delete(work);
    const sum = work.reducer.add(node, buffer);
    if (sum === undefined) return;
    const computeMicroseconds = Math.round(work.microseconds);
    const calls = work.calls.slice(-MOST_CALLS);
    work.microseconds = 0;
    work.calls = [];
    work.onSum(work.name, { ...sum, from: 0, until, computeMicroseconds, announced: result.announced, calls });
  }

  /** Waits for what is inside the engine, then ends the threads. */
  async close(): Promise<void> {
    this.forget();
    // One may wait for parameters of a forgotten work that another coordinator has taken back since.
    this.#dispatcher.interrupt();
    await this.#pool.close();
    this.memory.unshare();
    this.#data?.close();
  }
}

async function starterOf(plan: RunPlan, threads: number, isApart: boolean): Promise<StartThreads> {
  if (!isApart) return inBackground(piscinaThreads(threads));
  // Parameters come over this thread's socket from here on, and should come while others compute.
  if (threads > 1 || !suitsSocketThread(plan)) return piscinaThreads(threads);
  // Only then, since it brings the main thread what else its compute threads alone load.
  const { onMainThread } = await import("./main-thread.ts");
  return inBackground(onMainThread);
}
