/**
 * Virtual time: events in a queue, handled one after the other at their moments. Nothing here reads a real clock, and
 * every random number is of the seed's stream, so a seed always tells the same story.
 */
import { randomStream } from "../../shared/random.ts";

interface Scheduled {
  readonly at: number;
  readonly sequence: number;
  readonly action: () => void;
}

/** Promises that an event resolves go on within so many turns; what takes longer counts itself in `computing`. */
const TURNS = 12;

export class World {
  /** Milliseconds since the simulation began. */
  now = 0;
  /** Events handled so far. */
  events = 0;
  /** Calls of the arithmetic that have begun and not ended. */
  computing = 0;
  /** Takes lines of the story; absent, nobody writes them. */
  readonly tell: ((line: string) => void) | undefined;
  #failure: { readonly error: unknown } | undefined;
  readonly #uniform: (index: number) => number;
  /** A binary heap, earliest first; equal moments in the order they were scheduled. */
  readonly #heap: Scheduled[] = [];
  #sequence = 0;
  #drawn = 0;

  constructor(seed: number, tell?: (line: string) => void) {
    this.#uniform = randomStream(seed, "simulation", 1).uniform;
    this.tell = tell;
  }

  /** The next random number in [0, 1). */
  random(): number {
    this.#drawn += 1;
    return this.#uniform(this.#drawn);
  }

  /** A random duration from `least` to `most`. */
  between(least: number, most: number): number {
    return least + (most - least) * this.random();
  }

  at(moment: number, action: () => void): void {
    this.#sequence += 1;
    const heap = this.#heap;
    const added = { at: Math.max(moment, this.now), sequence: this.#sequence, action };
    let place = heap.length;
    for (; place > 0; place = (place - 1) >> 1) {
      const parent = heap[(place - 1) >> 1]!;
      if (!isBefore(added, parent)) break;
      heap[place] = parent;
    }
    heap[place] = added;
  }

  after(milliseconds: number, action: () => void): void {
    this.at(this.now + milliseconds, action);
  }

  /** Ends the simulation with an error that arose where none can be thrown. */
  fail(error: unknown): void {
    this.#failure ??= { error };
  }

  /** Handles events until `isOver` or the deadline; returns whether it was over in time. */
  async run(isOver: () => boolean, deadline: number): Promise<boolean> {
    while (!isOver()) {
      const next = this.#take();
      if (next === undefined || next.at > deadline) return false;
      this.now = next.at;
      this.events += 1;
      next.action();
      for (let turn = 0; turn < TURNS; turn = this.computing > 0 ? 0 : turn + 1) await Promise.resolve();
      if (this.#failure !== undefined) throw this.#failure.error;
    }
    return true;
  }

  #take(): Scheduled | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    let place = 0;
    for (;;) {
      let child = 2 * place + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child += 1;
      if (!isBefore(heap[child]!, last)) break;
      heap[place] = heap[child]!;
      place = child;
    }
    heap[place] = last;
    return first;
  }
}

const isBefore = (one: Scheduled, other: Scheduled): boolean =>
  one.at < other.at || (one.at === other.at && one.sequence < other.sequence);
