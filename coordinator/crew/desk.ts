/**
 * Where a job lies for every thread to see, and how its blocks are given out: each to the thread that comes first. A thread
 * that comes late finds no block left, and one that is slow delays only its own.
 */
import type { Kernels } from "../../shared/kernels/index.ts";
import type { Arena } from "../../shared/memory/arena.ts";
import type { Optimizer } from "../../shared/optim/optimizer.ts";
import { blocksOf, doBlock, outcomeOf } from "./job.ts";
import type { BlockOutcome, Checks, Job, Outcome } from "./job.ts";

/** As many additions a job may have: more than a tree of any number of shards has on the way to its root. */
export const MOST_ADDITIONS = 64;
/** Each adds two vectors that may have to be checked. */
const MOST_CHECKS = 2 * MOST_ADDITIONS;
const NUMBERS = 13;
const CHECKS = NUMBERS + 3 * MOST_ADDITIONS;
const ALL_NUMBERS = CHECKS + 2 * MOST_CHECKS;

/** Bytes of a desk. */
export const DESK_BYTES = 64 + 4 * MOST_CHECKS + 8 * ALL_NUMBERS;

/** Counters, a word each. */
const CALLS = 0;
/** Blocks that nobody does yet, or fewer than none. */
const LEFT = 1;
const DONE = 2;
const NOT_FINITE = 3;
const CLOSED = 4;
const MEMBERS = 5;
/** The numbers of the threads that have joined are from here on. */
const FIRST_MEMBER = 6;

export class Desk {
  readonly #counters: Int32Array;
  /** The checksums of the vectors that are checked, of which blocks are still missing. */
  readonly #sums: Int32Array;
  readonly #numbers: Float64Array;

  /** @param offset of DESK_BYTES zero bytes */
  constructor(memory: Arena["memory"], offset: number) {
    this.#counters = new Int32Array(memory.buffer, offset, 16);
    this.#sums = new Int32Array(memory.buffer, offset + 64, MOST_CHECKS);
    this.#numbers = new Float64Array(memory.buffer, offset + 64 + 4 * MOST_CHECKS, ALL_NUMBERS);
  }

  /** Lays a job down, once the last one is done, and calls the threads. */
  put(job: Job): void {
    const { additions, first = 0, count, step } = job;
    const { vectors, length } = job.checks ?? { vectors: [], length: 0 };
    if (additions.length > MOST_ADDITIONS) throw new RangeError(`a job of ${additions.length} additions`);
    if (vectors.length > MOST_CHECKS) throw new RangeError(`a job of ${vectors.length} checks`);
    const { from = 0, to = 0, gradient = 0, samples = 0, stepNumber = 0, learningRate = 0 } = step ?? {};
    const rest = [step?.count ?? -1, from, to, gradient, samples, stepNumber, learningRate];
    const fixed = [blocksOf(job), first, count, additions.length, vectors.length, length, ...rest];
    this.#numbers.set([...fixed, ...additions.flatMap(({ into, left, right }) => [into, left, right])]);
    this.#numbers.set(
      vectors.flatMap(({ place, checksum }) => [place, checksum]),
      CHECKS,
    );
    vectors.forEach((_, index) => Atomics.store(this.#sums, index, 0));
    Atomics.store(this.#counters, NOT_FINITE, 0);
    Atomics.store(this.#counters, DONE, 0);
    // From here on blocks are given out, also to a thread that is late for the last job.
    Atomics.store(this.#counters, LEFT, this.#blocks);
    Atomics.add(this.#counters, CALLS, 1);
    Atomics.notify(this.#counters, CALLS);
  }

  /** The job, for a thread that was given a block of it. */
  get job(): Job & { readonly checks: Checks } {
    const [, first, count, many, checked, length, stepCount, from, to, gradient, samples, stepNumber, learningRate] =
      this.#numbers as unknown as Fixed;
    const additions = Array.from({ length: many }, (_, index) => {
      const [into, left, right] = this.#numbers.subarray(NUMBERS + 3 * index) as unknown as [number, number, number];
      return { into, left, right };
    });
    const vectors = Array.from({ length: checked }, (_, index) => {
      const [place, checksum] = this.#numbers.subarray(CHECKS + 2 * index) as unknown as [number, number];
      return { place, checksum };
    });
    const step = { from, to, gradient, count: stepCount, samples, stepNumber, learningRate };
    return { additions, first, count, step: stepCount < 0 ? undefined : step, checks: { vectors, length } };
  }

  /**
   * The next block nobody does yet; undefined if there is none. One atomic operation decides, so that a thread that looks while
   * the next job is being laid down gets none of it; who is given a block finds its job whole until that block is finished.
   */
  take(): number | undefined {
    const left = Atomics.sub(this.#counters, LEFT, 1);
    return left > 0 ? this.#blocks - left : undefined;
  }

  get #blocks(): number {
    return this.#numbers[0]!;
  }

  finish({ terms, isFinite }: BlockOutcome): void {
    terms.forEach((term, index) => Atomics.add(this.#sums, index, term));
    if (!isFinite) Atomics.store(this.#counters, NOT_FINITE, 1);
    Atomics.add(this.#counters, DONE, 1);
    Atomics.notify(this.#counters, DONE);
  }

  /** Does blocks until there is none left. @param scratch byte offset of room for a block of this thread's own */
  work(kernels: Kernels, optimizer: Optimizer, scratch: number): void {
    for (let block = this.take(); block !== undefined; block = this.take()) {
      this.finish(doBlock(kernels, optimizer, this.job, block, scratch));
    }
  }

  /** Blocks until all blocks are done, and says what became of the job. */
  wait(): Outcome {
    const blocks = this.#blocks;
    for (;;) {
      const done = Atomics.load(this.#counters, DONE);
      if (done === blocks) break;
      Atomics.wait(this.#counters, DONE, done);
    }
    const { job } = this;
    const sums = job.checks.vectors.map((_, index) => Atomics.load(this.#sums, index));
    return outcomeOf(job, sums, Atomics.load(this.#counters, NOT_FINITE) === 0);
  }

  /** Another thread works at it from now on. @param thread its number, as the system knows it */
  join(thread: number): void {
    Atomics.store(this.#counters, FIRST_MEMBER + Atomics.add(this.#counters, MEMBERS, 1), thread);
  }

  /** The numbers of the threads that have joined. */
  get members(): number[] {
    const places = Array.from({ length: Atomics.load(this.#counters, MEMBERS) }, (_, index) => FIRST_MEMBER + index);
    // One that is joining may not have said it yet.
    return places.map((place) => Atomics.load(this.#counters, place)).filter((thread) => thread > 0);
  }

  /** Threads leave. */
  close(): void {
    Atomics.store(this.#counters, CLOSED, 1);
    Atomics.notify(this.#counters, CALLS);
  }

  /** Blocks until there is another call than the last `seen`; undefined when there is none any more. */
  nextCall(seen: number): number | undefined {
    for (;;) {
      if (Atomics.load(this.#counters, CLOSED) === 1) return undefined;
      const calls = Atomics.load(this.#counters, CALLS);
      if (calls !== seen) return calls;
      // Looks up now and then, should it have missed that the desk closes.
      Atomics.wait(this.#counters, CALLS, seen, 1_000);
    }
  }
}

type Fixed = [number, number, number, number, number, number, number, number, number, number, number, number, number];
