/**
 * Who hears of a run's events: the program's own watcher first, then those that write them down or show them. What the
 * program's throws is its own: it ends the run as a stop does, and the run's promise rejects with it.
 */
import type { RunEvent } from "../events.ts";

type Watcher = (event: RunEvent) => void;

export class Audience {
  readonly watchers = new Set<Watcher>();
  #own: Watcher | undefined;
  #stop: (() => void) | undefined;
  #failed: { readonly error: unknown } | undefined;

  constructor(own: Watcher | undefined) {
    this.#own = own;
  }

  /** From here on `stop` is called for what the program's watcher throws; before, there is no run yet to stop. */
  onFailure(stop: () => void): void {
    this.#stop = stop;
  }

  readonly notify = (event: RunEvent): void => {
    try {
      this.#own?.(event);
    } catch (error) {
      if (this.#stop === undefined) throw error;
      // It is told no more: the first error is the one that counts.
      this.#own = undefined;
      this.#failed = { error };
      this.#stop();
    }
    for (const watcher of this.watchers) watcher(event);
  };

  /** Throws what the program's watcher has thrown. */
  check(): void {
    if (this.#failed !== undefined) throw this.#failed.error;
  }
}
