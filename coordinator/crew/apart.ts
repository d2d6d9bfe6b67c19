/**
 * Keeps the crew's threads off the processor that the main thread is on. While compute threads spin on all of them, the system wakes a
 * thread where it ran last, also if that is where the main thread works: one of the two then did the whole job, in twice the time, at
 * every tenth step of 784-1024-1024-10 on two cores.
 */
import { keepTo, processorsOf } from "../../shared/affinity.ts";
import { operatingSystem } from "../../shared/system.ts";
import type { System } from "../../shared/system.ts";

type Scheduler = Pick<System, "sched_getcpu" | "sched_getaffinity" | "sched_setaffinity">;

export class Apart {
  readonly #system: Scheduler | undefined;
  readonly #all: readonly number[];
  #here = -1;
  #threads = 0;

  /** To be made on the main thread. */
  constructor(system: Scheduler | undefined = operatingSystem()) {
    this.#system = system;
    this.#all = (system && processorsOf(system)) ?? [];
  }

  /** To be called on the main thread, while the others sleep. @param threads their numbers */
  keep(threads: readonly number[]): void {
    if (this.#system === undefined || this.#all.length < 2) return;
    const here = this.#system.sched_getcpu();
    if (here === this.#here && threads.length === this.#threads) return;
    [this.#here, this.#threads] = [here, threads.length];
    const others = this.#all.filter((processor) => processor !== here);
    for (const thread of threads) keepTo(this.#system, others, thread);
  }
}
