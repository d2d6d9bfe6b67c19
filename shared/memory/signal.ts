/**
 * A number in memory that threads wait for: of this process, and of others where the memory is shared with them. One side
 * sets it, any number wait.
 */
import { operatingSystem } from "../system.ts";
import type { System } from "../system.ts";

const WAIT = 0;
const WAKE = 1;
/** How often a spinning thread looks before it lets others run. */
const LOOKS = 100;
const EVERYBODY = 2 ** 31 - 1;

export class Signal {
  readonly #word: Int32Array;
  /** Where there is none, no memory is shared with other processes either. */
  readonly #system: System | undefined = operatingSystem();

  /** @param offset of the number's four bytes */
  constructor(memory: WebAssembly.Memory, offset: number) {
    this.#word = new Int32Array(memory.buffer, offset, 1);
  }

  get value(): number {
    return Atomics.load(this.#word, 0);
  }

  /** Sets the number and wakes whoever waits. */
  set(value: number): void {
    Atomics.store(this.#word, 0, value);
    this.wake();
  }

  /** Has everybody who waits look again. The memory may be mapped for reading only. */
  wake(): void {
    if (this.#system === undefined) Atomics.notify(this.#word, 0);
    else this.#system.futex(this.#word, WAKE, EVERYBODY, null);
  }

  /**
   * Waits without sleeping, for so many milliseconds at most: an idle processor is woken late, and with cold caches. Whoever
   * else wants to run may.
   */
  spin(seen: number, milliseconds: number): void {
    const until = performance.now() + milliseconds;
    while (performance.now() < until) {
      for (let look = 0; look < LOOKS; look++) if (this.value !== seen) return;
      this.#system?.sched_yield();
    }
  }

  /** Blocks this thread until the number is not `seen` any more, `wake` is called, or so many milliseconds (under 1,000) are over. */
  wait(seen: number, milliseconds: number): void {
    if (this.#system === undefined) Atomics.wait(this.#word, 0, seen, milliseconds);
    else this.#system.futex(this.#word, WAIT, seen, BigInt64Array.of(0n, BigInt(Math.round(1e6 * milliseconds))));
  }
}
