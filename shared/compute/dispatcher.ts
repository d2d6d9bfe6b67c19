/**
 * Hands tasks out to the threads, in series: into which buffers their sums go, what a thread may say to the coordinator itself,
 * and what becomes of a series that ends before its last task is done.
 */
import { signalOf } from "../gradient/arrivals.ts";
import type { WorkName } from "../protocol/messages.ts";
import { rankOf } from "../protocol/work-name.ts";
import type { ComputeMemory } from "./memory.ts";
import { TaskQueue } from "./queue.ts";
import type { OpenWork, PendingTask } from "./queue.ts";
import type { Announcement, ComputeResult, ComputeTask, Progress } from "./task.ts";
import { SERIES_PER_THREAD } from "./threads.ts";
import type { Threads } from "./threads.ts";
import { Tickets } from "./tickets.ts";
import type { Ticket } from "./tickets.ts";

/** Of a task that was computed. */
export type Computed = Exclude<ComputeResult, string>;

/** What is told of tasks. Nothing of those of a forgotten work but that they are passed. */
export interface DispatchListener {
  /** Of a task that is not over, these bytes of the sum are there; the buffer has got one more user for them. */
  onPart(pending: PendingTask, buffer: number, from: number, until: number): void;
  /** A task is over, and its sum in the buffer; what lies behind `until` was told as a part. */
  onComputed(pending: PendingTask, buffer: number, result: Computed, until: number): void;
  /** Nobody wants a task's sum any more: the sum of a later one of its series is where it was. */
  onPassed(pending: PendingTask): void;
  /** A thread could not compute what it was given, and nothing more is told of that. */
  onFailure(error: unknown): void;
}

export interface DispatcherSetup {
  readonly memory: ComputeMemory;
  /** How many threads there are. */
  readonly threads: number;
  /** Into how many buckets the parameters are cut. */
  readonly buckets: number;
}

export class Dispatcher {
  readonly #setup: DispatcherSetup;
  readonly #pool: Threads;
  readonly #listener: DispatchListener;
  readonly #queue = new TaskQueue();
  readonly #tickets = new Tickets();
  readonly #interrupts: Int32Array;
  #running = 0;
  /** The latest work of which a task was handed out since threads were last interrupted. */
  #latest = Number.NEGATIVE_INFINITY;

  constructor(setup: DispatcherSetup, pool: Threads, listener: DispatchListener) {
    this.#setup = setup;
    this.#pool = pool;
    this.#listener = listener;
    const { arena, interruptsOffset } = setup.memory;
    this.#interrupts = new Int32Array(arena.memory.buffer, interruptsOffset, 1);
  }

  /** To be handed out when there is a thread for it, which is not before `handOut`. */
  add(pending: PendingTask): void {
    this.#queue.add(pending);
  }

  /** Leaves out the tasks of forgotten works. */
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
      const outputs = first && memory.acquire(first.work.name.kind, first.task.sizes.length);
      if (outputs === undefined) return;
      // All into the same buffers: the parameters for one of them say that the sum before it has been read.
      const mayBeIn = (pending: PendingTask): boolean =>
        pending.task.sizes.length <= outputs.length && this.#announcementOf(pending, outputs[0]!) !== undefined;
      this.#start(
        this.#queue.takeSeries((pending) => threads === 1 && mayBeIn(pending)),
        outputs,
      );
    }
  }

  /** A thread says how far it is. */
  progressed(progress: Progress): void {
    const taken = this.#tickets.take(progress);
    if (taken === undefined) return;
    const { pending, buffer, from, until } = taken;
    this.#setup.memory.shareBuffer(pending.work.name.kind, buffer);
    this.#listener.onPart(pending, buffer, from, until);
  }

  /** Whether what a work needs and gives is on its way bucket by bucket: over the socket, where there are several. */
  isInBuckets({ name }: OpenWork): boolean {
    const { buckets, memory } = this.#setup;
    return name.kind === "train" && buckets > 1 && memory.isApart;
  }

  #start(series: readonly PendingTask[], outputs: readonly number[]): void {
    const interrupts = Atomics.load(this.#interrupts, 0);
    this.#running += 1;
    this.#latest = Math.max(this.#latest, rankOf(series.at(-1)!.work.name));
    const ticket = this.#ticketFor(series[0]!, outputs[0]!);
    const tasks = series.map((pending): ComputeTask => ({
      ...pending.task,
      outputs: outputs.slice(0, pending.task.sizes.length),
      awaits: { arrival: signalOf(pending.work.name.step), interrupts },
      announcement: this.#announcementOf(pending, outputs[0]!),
      inStages: this.isInBuckets(pending.work),
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
      .catch((error: unknown) => this.#listener.onFailure(error));
  }

  /** What the thread may say, if this task alone makes a partial in shared memory. */
  #announcementOf({ work: { name, reducer }, node }: PendingTask, output: number): Announcement | undefined {
    const place = reducer.isTarget(node) ? this.#setup.memory.placeOf(name.kind, output) : undefined;
    return place && { ...place, work: name, node: [node.start, node.end] };
  }

  /** A ticket, if this task alone makes a partial. */
  #ticketFor(pending: PendingTask, buffer: number): Ticket | undefined {
    if (!this.isInBuckets(pending.work) || !pending.work.reducer.isTarget(pending.node)) return undefined;
    return this.#tickets.issue(pending, buffer, this.#setup.memory.sumBytes("train"));
  }

  /** Of a series, only the sum that was computed last can still be wanted: what comes before it is over. */
  #ended(
    series: readonly PendingTask[],
    [output, ...terms]: readonly number[],
    results: readonly ComputeResult[],
    until: number | undefined,
  ): void {
    const { memory } = this.#setup;
    const last = results.findLastIndex((result) => typeof result !== "string");
    series.forEach((pending, index) => {
      if (index < last) this.#listener.onPassed(pending);
      else if (index > last && !pending.work.forgotten && results[index] !== "too late") this.#queue.add(pending);
    });
    const { kind } = series[0]!.work.name;
    memory.release(kind, ...terms);
    const computed = series[last];
    if (computed === undefined || computed.work.forgotten) memory.release(kind, output!);
    else this.#listener.onComputed(computed, output!, results[last] as Computed, until ?? memory.sumBytes(kind));
  }
}
