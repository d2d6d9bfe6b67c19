/**
 * Who hears of a run's events: the program's own watcher first, then those that write them down or show them. What the
 * program's throws, or the promise that it returns rejects with, is its own: it ends the run as a stop does, and the run's
 * promise rejects with it.
 */
import type { RunEvent } from "../events.ts";

type Watcher = (event: RunEvent) => void;

export class Audience {
  readonly watchers = new Set<Watcher>();
  #own: ((event: RunEvent) => unknown) | undefined;
  #stop: (() => void) | undefined;
  #failed: { readonly error: unknown } | undefined;
  /** What the program's watcher has not finished. */
  readonly #pending = new Set<Promise<void>>();

  constructor(own: Watcher | undefined) {
    this.#own = own;
  }

  /** From here on `stop` is called for what the program's watcher throws; before, there is no run yet to stop. */
  onFailure(stop: () => void): void {
    this.#stop = stop;
    if (this.#failed !== undefined) stop();
  }

  readonly notify = (event: RunEvent): void => {
    try {
      const told = this.#own?.(event);
      if (isThenable(told)) this.#follow(told);
    } catch (error) {
      if (this.#stop === undefined) throw error;
      this.#fail(error);
    }
    for (const watcher of this.watchers) watcher(event);
  };

  /** Throws what the program's watcher has thrown. */
  check(): void {
    if (this.#failed !== undefined) throw this.#failed.error;
  }

  /** The same, once it has finished all that it was told. */
  async finished(): Promise<void> {
    await Promise.all(this.#pending);
    this.check();
  }

  #follow(told: PromiseLike<unknown>): void {
    const pending = Promise.resolve(told)
      .catch((error: unknown) => this.#fail(error))
      .then(() => void this.#pending.delete(pending));
    this.#pending.add(pending);
  }

  /** It is told no more: the first error is the one that counts. */
  #fail(error: unknown): void {
    this.#own = undefined;
    this.#failed ??= { error };
    this.#stop?.();
  }
}

const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
