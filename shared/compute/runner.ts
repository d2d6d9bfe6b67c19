/**
 * What computes a worker's tasks: gathers the samples of a subtree, runs the fused program of its shape on the parameters in
 * shared memory, and leaves the sums in shared memory. The engine blocks the thread it is called on; a thread inside it
 * is never terminated (the process would abort), so stale tasks finish, or stop between two stages.
 */
import { threadId } from "node:worker_threads";
import { hostMicroseconds } from "../clock.ts";
import { Augmenter, type AugmentSpec } from "../data/augment.ts";
import { datasetFrom } from "../data/dataset.ts";
import type { Dataset } from "../data/dataset.ts";
import type { Engine } from "../engine/engine.ts";
import { signalOf } from "../gradient/arrivals.ts";
import { addAlongTree, addAndCheck } from "../gradient/add.ts";
import { bucketStarts, firstByteOf } from "../gradient/buckets.ts";
import { partialLayouts, vectorBytes } from "../gradient/partial.ts";
import type { PartialLayouts } from "../gradient/partial.ts";
import { instantiateKernels } from "../kernels/index.ts";
import type { Kernels } from "../kernels/index.ts";
import { Signal } from "../memory/signal.ts";
import { permutation } from "../random.ts";
import type { EngineCall, RunPlan, WorkKind } from "../protocol/messages.ts";
import { Announcer } from "./announcer.ts";
import { Programs } from "./programs.ts";
import type { Loaded } from "./programs.ts";
import { goesOn, readiness } from "./task.ts";
import type { ComputeResult, ComputeTask, Progress, ThreadSetup } from "./task.ts";

/** What a runner does where it could let others run: while it waits, and between calls of the engine. */
export interface Pace {
  /**
   * Waits until the signal is not `seen` any more or it is woken, or a while: either blocks its thread, or resolves.
   * @param isLong whether it will be long, or has been
   */
  readonly wait: (arrivals: Signal, seen: number, isLong: boolean) => Promise<void> | void;
  /** Lets others have the thread, if it has others: before a task, and between its stages. */
  readonly giveWay: () => Promise<void> | void;
}

export class TaskRunner {
  readonly #threads: number;
  readonly #plan: RunPlan;
  readonly #kernels: Kernels;
  readonly #announcer = new Announcer();
  readonly #onProgress: (progress: Progress) => void;
  readonly #pace: Pace;
  readonly #layouts: PartialLayouts;
  readonly #buckets: readonly number[];
  readonly #data: Readonly<Record<WorkKind, Dataset | undefined>>;
  readonly #augmenter: Augmenter | undefined;
  readonly #programs: Programs;
  /** The order of an epoch's samples; one epoch is kept, since steps come in order. */
  #order: { readonly epoch: number; readonly at: (index: number) => number } | undefined;

  readonly #arrivals: Signal;
  readonly #interrupts: Int32Array;
  /** One series at a time; the next is handed out before, so that the thread need not wait for the main thread. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(
    { threads, plan, memory, arrivals, interrupts, train, test }: ThreadSetup,
    engine: Engine,
    onProgress: (progress: Progress) => void,
    pace: Pace,
  ) {
    this.#threads = threads;
    this.#plan = plan;
    this.#kernels = instantiateKernels(memory);
    this.#onProgress = onProgress;
    this.#pace = pace;
    this.#arrivals = new Signal(memory, arrivals);
    this.#interrupts = new Int32Array(memory.buffer, interrupts, 1);
    this.#layouts = partialLayouts(plan.parameters, plan.metrics, plan.evaluated);
    this.#buckets = bucketStarts(this.#layouts.parameters);
    this.#programs = new Programs(plan, this.#layouts, memory, engine);
    const augment = plan.augment as readonly AugmentSpec[];
    this.#augmenter = augment.length === 0 ? undefined : new Augmenter(augment, plan.seed, train.sampleShape);
    this.#data = { train: datasetFrom(train), evaluate: test === undefined ? undefined : datasetFrom(test) };
  }

  /** Computes one subtree after the other, as `Threads` says. */
  run(tasks: readonly ComputeTask[]): Promise<ComputeResult[]> {
    const results = this.#last.then(() => this.#computeAll(tasks));
    this.#last = results.catch(() => {});
    return results;
  }

  async #computeAll(tasks: readonly ComputeTask[]): Promise<ComputeResult[]> {
    const results: ComputeResult[] = [];
    for (const task of tasks) {
      const result = await this.#compute(task);
      results.push(result);
      if (!goesOn(result)) break;
    }
    return results;
  }

  /** The minibatch is gathered while its parameters may still be on their way. */
  async #compute(task: ComputeTask): Promise<ComputeResult> {
    await this.#pace.giveWay();
    let began = hostMicroseconds();
    const loaded = await this.#programs.of(task);
    this.#gather(task, loaded);
    loaded.fillMasks(task.step, task.first);
    const inputs = loaded.inputs(task.parameters);
    const outputs = loaded.outputs(task.outputs);
    const calls: EngineCall[] = [];
    let summed = vectorBytes(this.#layouts.partial[task.kind]);
    let checksum: number | undefined;
    for (const { needs, completes, prepared } of loaded.stages) {
      const waits = hostMicroseconds();
      const found = await this.#await(task, needs);
      if (found !== "ready") return found;
      const computes = hostMicroseconds();
      await prepared.run(inputs, outputs);
      const from = completes < this.#buckets.length ? 4 * this.#buckets[completes]! : summed;
      checksum = this.#addUp(task, from, summed);
      summed = from;
      this.#tell(task, completes);
      const ended = hostMicroseconds();
      calls.push([threadId, began, waits, computes, ended]);
      began = ended;
      if (completes > 0) await this.#pace.giveWay();
    }
    const taken = calls.reduce((sum, [, gather, wait, compute, end]) => sum + wait - gather + end - compute, 0);
    const microseconds = taken / this.#threads;
    const timed = this.#plan.trace ? calls : [];
    const announced = this.#announce(task, checksum, microseconds, timed);
    return { microseconds, announced, calls: timed };
  }

  /**
   * Adds the shards' sums up, from one byte to another. Returns the checksum of an announced sum, which is added up from its first
   * byte on, since what lies in shared memory is computed by whole programs; over a socket each segment gets one of its own.
   */
  #addUp({ outputs, announcement }: ComputeTask, from: number, until: number): number | undefined {
    if (announcement !== undefined) return addAndCheck(this.#kernels, outputs, until);
    const terms = outputs.map((output) => output + from);
    addAlongTree(this.#kernels, terms, until - from);
    return undefined;
  }

  /** Says of a task that is not over that the sums from a bucket on are there. */
  #tell({ ticket }: ComputeTask, bucket: number): void {
    if (ticket === undefined || bucket === 0 || bucket === this.#buckets.length) return;
    this.#onProgress({ ticket, from: firstByteOf(this.#buckets, bucket) });
  }

  /** Waits for what is running, then gives back what the system lent. */
  async close(): Promise<void> {
    await this.#last;
    this.#announcer.close();
  }

  #announce(
    { announcement }: ComputeTask,
    checksum: number | undefined,
    microseconds: number,
    calls: readonly EngineCall[],
  ): boolean {
    if (announcement === undefined || checksum === undefined) return false;
    return this.#announcer.announce(announcement, {
      checksum,
      computeMicroseconds: Math.round(microseconds),
      ...(calls.length > 0 && { timing: { sent: hostMicroseconds(), calls } }),
    });
  }

  /** Waits until so many buckets of a task's parameters are here, or there is something better to do. */
  async #await(task: ComputeTask, buckets: number): Promise<Exclude<ReturnType<typeof readiness>, "waiting">> {
    const needed = buckets < this.#buckets.length ? signalOf(task.step, buckets) : undefined;
    for (let waited = false; ; waited = true) {
      const seen = this.#arrivals.value;
      const found = readiness(task, seen, Atomics.load(this.#interrupts, 0), needed);
      if (found !== "waiting") return found;
      await this.#pace.wait(this.#arrivals, seen, waited || task.inStages === true);
    }
  }

  #gather({ kind, epoch, offset, first }: ComputeTask, { indices, gather, features }: Loaded): void {
    const dataset = this.#data[kind]!;
    const start = offset + first;
    if (kind === "train") {
      if (this.#order?.epoch !== epoch) {
        this.#order = { epoch, at: permutation(this.#plan.seed, epoch, dataset.length) };
      }
      for (let row = 0; row < indices.length; row++) indices[row] = this.#order.at(start + row);
    } else {
      for (let row = 0; row < indices.length; row++) indices[row] = start + row;
    }
    gather(dataset, indices);
    if (kind === "train" && this.#augmenter !== undefined) {
      const width = features.length / indices.length;
      for (let row = 0; row < indices.length; row++)
        this.#augmenter.apply(features.subarray(row * width, (row + 1) * width), epoch, indices[row]!);
    }
  }
}
