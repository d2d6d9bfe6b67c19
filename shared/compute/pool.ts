/**
 * A worker's arithmetic: the data, the memory, and the piscina pool whose threads run the engine. The main thread only cuts assignments into tasks and adds partial sums, so its socket is never kept waiting.
 */
import { createHash } from "node:crypto";
import { openData } from "../data/open.ts";
import type { OpenedData } from "../data/open.ts";
import type { DataSpec } from "../data/spec.ts";
import { LockstepError } from "../errors.ts";
import { partialLayouts } from "../gradient/partial.ts";
import { cutIntoShards } from "../gradient/plan.ts";
import { TreeReducer } from "../gradient/reducer.ts";
import type { TreeNode } from "../gradient/tree.ts";
import type { Assignment, RunPlan, WorkKind } from "../protocol/messages.ts";
import { randomStream } from "../random.ts";
import { checkPlan } from "./check-plan.ts";
import { nodesToCompute } from "./cut.ts";
import { ComputeMemory } from "./memory.ts";
import type { ComputeTask } from "./task.ts";
import { piscinaThreads } from "./threads.ts";
import type { StartThreads, Threads } from "./threads.ts";

/** Random values among the parameters of the probe, which repeat. */
const PROBE_VALUES = 10_007;

/** The sum over one assigned subtree is in `buffer`; the receiver releases it. */
export type OnSum = (node: TreeNode, buffer: number, computeMicroseconds: number) => void;

/** An assignment that is not finished. */
interface Job {
  readonly kind: WorkKind;
  readonly reducer: TreeReducer;
  tasksLeft: number;
  forgotten: boolean;
}

export class ComputePool {
  readonly dataSha256: string;
  readonly layoutHash: string;
  readonly memory: ComputeMemory;
  readonly #plan: RunPlan;
  readonly #threads: number;
  readonly #pool: Threads;
  readonly #samples: Readonly<Record<WorkKind, number>>;
  readonly #jobs = new Set<Job>();
  #queue: { kind: WorkKind; start: (buffer: number) => void }[] = [];
  #running = 0;
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
      memory: this.memory.arena.memory,
      plan,
      train: data.train.transfer(),
      test: data.test?.transfer(),
    });
    this.#samples = { train: data.train.length, evaluate: data.test?.length ?? 0 };
    this.dataSha256 = data.sha256;
    this.layoutHash = layouts.parameters.hash;
  }

  /** Reads the plan's data and starts the threads. Throws DATA_MISSING, DATA_INVALID, DATA_MISMATCH, GRAPH_INVALID. */
  static async open(plan: RunPlan, threads: number): Promise<ComputePool> {
    const data = await openData(plan.data as DataSpec, {
      validation: plan.validation,
      seed: plan.seed,
      memory: plan.dataMemory * 2 ** 20,
    });
    // The coordinator checks this too; but with data of another size even the probe would fail.
    if (data.sha256 !== plan.dataSha256)
      throw new LockstepError(
        "DATA_MISMATCH",
        `this worker's data has SHA-256 ${data.sha256}, the run trains on ${plan.dataSha256}`,
        "give the worker a copy of the coordinator's data",
      );
    return new ComputePool(plan, threads, data, piscinaThreads(threads));
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

  /** Forgets all assignments: `onSum` is not called for them any more, and what threads still compute is thrown away. */
  forget(): void {
    this.#queue = [];
    for (const job of this.#jobs) {
      job.forgotten = true;
      for (const buffer of job.reducer.waiting) this.memory.release(job.kind, buffer);
    }
    this.#jobs.clear();
  }

  /** Why an assignment is none of this run, however well-formed: it names samples or shards that there are not. */
  objectionTo({ work, offset, samples, shards }: Assignment): LockstepError | undefined {
    const length = this.#samples[work.kind];
    const isPart =
      work.kind === "train"
        ? samples <= this.#plan.batch && cutIntoShards(samples, this.#plan.shards).sizes.length === shards
        : samples === length;
    if (isPart && offset + samples <= length) return undefined;
    const sentence = `assigned samples ${offset} to ${offset + samples} of ${length} in ${shards} shards, to ${work.kind}`;
    return new LockstepError("PROTOCOL_VIOLATION", sentence);
  }

  /** Computes an assignment whose parameters are here and to which there is no objection. */
  compute(assignment: Assignment, onSum: OnSum): void {
    const { kind, step } = assignment.work;
    const cut = cutIntoShards(assignment.samples, assignment.shards);
    const nodes = assignment.nodes.map(([start, end]) => ({ start, end }));
    const { memory } = this;
    const reducer = new TreeReducer(cut.sizes.length, nodes, (left, right) => memory.add(kind, left, right));
    let microseconds = 0;
    const tasks = nodesToCompute(nodes, cut.sizes, this.#threads);
    const job: Job = { kind, reducer, tasksLeft: tasks.length, forgotten: false };
    this.#jobs.add(job);
    for (const node of tasks) {
      const start = (output: number): void => {
        const task: ComputeTask = {
          kind,
          step,
          epoch: assignment.epoch,
          offset: assignment.offset,
          first: cut.starts[node.start]!,
          sizes: cut.sizes.slice(node.start, node.end),
          parameters: memory.offsetOf(step),
          output,
        };
        this.#running += 1;
        this.#pool
          .run(task)
          .then((milliseconds) => {
            this.#running -= 1;
            if (job.forgotten) {
              this.release(kind, output);
              return;
            }
            microseconds += (1000 * milliseconds) / this.#threads;
            job.tasksLeft -= 1;
            if (job.tasksLeft === 0) this.#jobs.delete(job);
            const sum = reducer.add(node, output);
            if (sum !== undefined) onSum(sum.node, sum.buffer, Math.round(microseconds));
            this.#dispatch();
          })
          .catch((error: unknown) => {
            // A program that fails once fails always: there is nothing to go on with.
            process.nextTick(() => {
              throw error;
            });
          });
      };
      this.#queue.push({ kind, start });
    }
    this.#dispatch();
  }

  /** Waits for what is inside the engine, then ends the threads. */
  async close(): Promise<void> {
    this.#queue = [];
    await this.#pool.close();
    this.memory.unshare();
  }

  #dispatch(): void {
    // One task waits behind each running one, so that no thread idles while the main thread hands out the next.
    while (this.#queue.length > 0 && this.#running < 2 * this.#threads) {
      const { kind } = this.#queue[0]!;
      const buffer = this.memory.acquire(kind);
      if (buffer === undefined) return;
      this.#queue.shift()!.start(buffer);
    }
  }
}
