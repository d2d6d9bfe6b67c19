/**
 * Hands tasks out to the threads, in series: into which buffers their sums go, what a thread may say to the coordinator itself,
 * and what becomes of a series that ends before its last task is done.
 */
import { signalOf } from "../memory/signal.ts";
import type { WorkName } from "../protocol/messages.ts";
import type { ComputeMemory } from "./memory.ts";
import { rankOf, TaskQueue } from "./queue.ts";
import type { Job, Waiting } from "./queue.ts";
import type { Announcement, ComputeResult, ComputeTask, Progress } from "./task.ts";
import { SERIES_PER_THREAD } from "./threads.ts";
import type { Threads } from "./threads.ts";
import { Tickets } from "./tickets.ts";
import type { Ticket } from "./tickets.ts";

/** Of a task that was computed. */
export type Computed = Exclude<ComputeResult, string>;

/** What a series tells of its tasks. Nothing of those of a forgotten job but that they are passed. */
export interface SeriesListener {
  /** Of a task that is not over, these bytes of the sum are there; the buffer has got one more user for them. */
  onPart(waiting: Waiting, buffer: number, from: number, until: number): void;
  /** A task is over, and its sum in the buffer; what lies behind `until` was told as a part. */
  onComputed(waiting: Waiting, buffer: number, result: Computed, until: number): void;
  /** Nobody wants a task's sum any more: the sum of a later one of its series is where it was. */
  onPassed(waiting: Waiting): void;
}

export interface SeriesSetup {
  readonly memory: ComputeMemory;
  /** How many threads there are. */
  readonly threads: number;
  /** Into how many buckets the parameters are cut. */
  readonly buckets: number;
}

export class Series {
  readonly #setup: SeriesSetup;
  readonly #pool: Threads;
  readonly #listener: SeriesListener;
  readonly #queue = new TaskQueue();
  readonly #tickets = new Tickets();
  readonly #interrupts: Int32Array;
  #running = 0;
  /** The latest work of which a task was handed out since threads were last interrupted. */
  #latest = Number.NEGATIVE_INFINITY;

  constructor(setup: SeriesSetup, pool: Threads, listener: SeriesListener) {
    this.#setup = setup;
    this.#pool = pool;
    this.#listener = listener;
    const { arena, interruptsOffset } = setup.memory;
    this.#interrupts = new Int32Array(arena.memory.buffer, interruptsOffset, 1);
  }

  /** To be handed out when there is a thread for it, which is not before `handOut`. */
  add(waiting: Waiting): void {
    this.#queue.add(waiting);
  }

  /** Leaves out the tasks of forgotten jobs. */
  clean(): void {
    this.#queue.clean();
  }

  /** Whether something of a later work was handed out since threads were last interrupted. */
  hasLaterThan(work: WorkName): boolean {
    return rankOf(work) < this.#latest;
  }

  /** Has threads that wait for parameters look for something better to do. */
  interrupt(): void {
    Atomics.add(this.#interrupts, 0, 1);
    this.#latest = Number.NEGATIVE_INFINITY;
    this.#pool.wake();
  }

  /** Keeps the threads busy, as far as there are tasks and buffers. */
  handOut(): void {
    const { memory, threads } = this.#setup;
    while (this.#running < SERIES_PER_THREAD * threads) {
      const { first } = this.#queue;
      const outputs = first && memory.acquire(first.job.work.kind, first.task.sizes.length);
      if (outputs === undefined) return;
      // All into the same buffers: the parameters for one of them say that the sum before it has been read.
      const mayBeIn = (waiting: Waiting): boolean =>
        waiting.task.sizes.length <= outputs.length && this.#announcementOf(waiting, outputs[0]!) !== undefined;
      this.#start(
        this.#queue.takeSeries((waiting) => threads === 1 && mayBeIn(waiting)),
        outputs,
      );
    }
  }

  /** A thread says how far it is. */
  progressed(progress: Progress): void {
    const taken = this.#tickets.take(progress);
    if (taken === undefined) return;
    const { waiting, buffer, from, until } = taken;
    this.#setup.memory.shareBuffer(waiting.job.work.kind, buffer);
    this.#listener.onPart(waiting, buffer, from, until);
  }

  /** Whether what a job needs and gives is on its way bucket by bucket: over the socket, where there are several. */
  isInBuckets({ work }: Job): boolean {
    const { buckets, memory } = this.#setup;
    return work.kind === "train" && buckets > 1 && memory.isApart;
  }

  #start(series: readonly Waiting[], outputs: readonly number[]): void {
    const interrupts = Atomics.load(this.#interrupts, 0);
    this.#running += 1;
    this.#latest = Math.max(this.#latest, rankOf(series.at(-1)!.job.work));
    const ticket = this.#ticketFor(series[0]!, outputs[0]!);
    const tasks = series.map((waiting): ComputeTask => ({
      ...waiting.task,
      outputs: outputs.slice(0, waiting.task.sizes.length),
      awaits: { arrival: signalOf(waiting.job.work.step), interrupts },
      announcement: this.#announcementOf(waiting, outputs[0]!),
      inStages: this.isInBuckets(waiting.job),
      ticket: ticket?.number,
    }));
    this.#pool
      .run(tasks)
      .then((results) => {
        this.#running -= 1;
        if (ticket !== undefined) this.#tickets.close(ticket);
        this.#ended(series, outputs, results, ticket?.until);
        this.handOut();
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
    const place = reducer.isTarget(node) ? this.#setup.memory.placeOf(work.kind, output) : undefined;
    return place && { ...place, work, node: [node.start, node.end] };
  }

  /** A ticket, if this task alone makes a partial. */
  #ticketFor(waiting: Waiting, buffer: number): Ticket | undefined {
    if (!this.isInBuckets(waiting.job) || !waiting.job.reducer.isTarget(waiting.node)) return undefined;
    return this.#tickets.issue(waiting, buffer, this.#setup.memory.sumBytes("train"));
  }

  /** Of a series, only the sum that was computed last can still be wanted: what comes before it is over. */
  #ended(
    series: readonly Waiting[],
    [output, ...terms]: readonly number[],
    results: readonly ComputeResult[],
    until: number | undefined,
  ): void {
    const { memory } = this.#setup;
    const last = results.findLastIndex((result) => typeof result !== "string");
    series.forEach((waiting, index) => {
      if (index < last) this.#listener.onPassed(waiting);
      else if (index > last && !waiting.job.forgotten && results[index] !== "too late") this.#queue.add(waiting);
    });
    const { kind } = series[0]!.job.work;
    memory.release(kind, ...terms);
    const computed = series[last];
    if (computed === undefined || computed.job.forgotten) memory.release(kind, output!);
    else this.#listener.onComputed(computed, output!, results[last] as Computed, until ?? memory.sumBytes(kind));
  }
}
