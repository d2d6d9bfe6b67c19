/**
 * Where a job lies for every thread to see, and how its blocks are given out: each to the thread that comes first. A thread
 * that comes late finds no block left, and one that is slow delays only its own.
 */
import type { Arena } from "../../shared/memory/arena.ts";
import { blocksOf } from "./job.ts";
import type { Job } from "./job.ts";

/** More additions than a tree of any number of shards has on the way to its root. */
const MOST_ADDITIONS = 64;
const NUMBERS = 9;

/** Bytes of a desk. */
export const DESK_BYTES = 64 + 8 * (NUMBERS + 3 * MOST_ADDITIONS);

/** Counters, a word each. */
const CALLS = 0;
/** Blocks that nobody does yet, or fewer than none. */
const LEFT = 1;
const DONE = 2;
const NOT_FINITE = 3;
const CLOSED = 4;

export class Desk {
  readonly #counters: Int32Array;
  readonly #numbers: Float64Array;

  /** @param offset of DESK_BYTES zero bytes */
  constructor(memory: Arena["memory"], offset: number) {
    this.#counters = new Int32Array(memory.buffer, offset, 16);
    this.#numbers = new Float64Array(memory.buffer, offset + 64, NUMBERS + 3 * MOST_ADDITIONS);
  }

  /** Lays a job down, once the last one is done. @param call whether to wake threads for it */
  put(job: Job, call: boolean): void {
    const { additions, count, step } = job;
    if (additions.length > MOST_ADDITIONS) throw new RangeError(`a job of ${additions.length} additions`);
    const { from = 0, to = 0, gradient = 0, samples = 0, stepNumber = 0, learningRate = 0 } = step ?? {};
    const fixed = [count, additions.length, step?.count ?? -1, from, to, gradient, samples, stepNumber, learningRate];
    this.#numbers.set([...fixed, ...additions.flatMap(({ into, left, right }) => [into, left, right])]);
    Atomics.store(this.#counters, NOT_FINITE, 0);
    Atomics.store(this.#counters, DONE, 0);
    // From here on blocks are given out, also to a thread that is late for the last job.
    Atomics.store(this.#counters, LEFT, blocksOf(job));
    if (!call) return;
    Atomics.add(this.#counters, CALLS, 1);
    Atomics.notify(this.#counters, CALLS);
  }

  /** The job, for a thread that was given a block of it. */
  get job(): Job {
    const [count, length, stepCount, from, to, gradient, samples, stepNumber, learningRate] =
      this.#numbers as unknown as Fixed;
    const additions = Array.from({ length }, (_, index) => {
      const [into, left, right] = this.#numbers.subarray(NUMBERS + 3 * index) as unknown as [number, number, number];
      return { into, left, right };
    });
    const step = { from, to, gradient, count: stepCount, samples, stepNumber, learningRate };
    return { additions, count, step: stepCount < 0 ? undefined : step };
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
    return blocksOf({ count: this.#numbers[0]! });
  }

  finish(isFinite: boolean): void {
    if (!isFinite) Atomics.store(this.#counters, NOT_FINITE, 1);
    Atomics.add(this.#counters, DONE, 1);
    Atomics.notify(this.#counters, DONE);
  }

  /** Blocks until all blocks are done, and says whether all was finite. */
  wait(): boolean {
    const blocks = this.#blocks;
    for (;;) {
      const done = Atomics.load(this.#counters, DONE);
      if (done === blocks) return Atomics.load(this.#counters, NOT_FINITE) === 0;
      Atomics.wait(this.#counters, DONE, done);
    }
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

type Fixed = [number, number, number, number, number, number, number, number, number];
