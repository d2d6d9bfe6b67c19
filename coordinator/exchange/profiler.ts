/**
 * Where the time of the training steps goes, seen from the coordinator's thread. Cheap enough to be always on: a few
 * clock readings a step.
 */
import type { Clock } from "../../shared/clock.ts";
import type { WorkKind } from "../../shared/protocol/messages.ts";
import type { RunProfile } from "../events.ts";

export class Profiler {
  readonly #clock: Clock;
  #elapsed = 0;
  #compute = 0;
  #reduce = 0;
  #wire = 0;
  #bytesSent = 0;
  #bytesReceived = 0;
  #bytesShared = 0;
  #begun = 0;
  #reduceAtBegin = 0;
  #wireAtBegin = 0;
  readonly #computed = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A work is opened. */
  begin(): void {
    this.#begun = this.#clock.now();
    this.#reduceAtBegin = this.#reduce;
    this.#wireAtBegin = this.#wire;
    this.#computed.clear();
  }

  /** A worker says how long it has computed for a partial of the open work. */
  computed(worker: string, microseconds: number): void {
    this.#computed.set(worker, microseconds + (this.#computed.get(worker) ?? 0));
  }

  /** The open work is committed; only training steps count. */
  end(kind: WorkKind): void {
    if (kind === "train") {
      this.#elapsed += this.#clock.now() - this.#begun;
      this.#compute += Math.max(0, ...this.#computed.values()) / 1000;
    } else {
      this.#reduce = this.#reduceAtBegin;
      this.#wire = this.#wireAtBegin;
    }
  }

  /** Times combining and updating. */
  reduce<Result>(action: () => Result): Result {
    const start = this.#clock.now();
    const result = action();
    this.#reduce += this.#clock.now() - start;
    return result;
  }

  /** Times the handling of a frame, or of a part of it, and everything it causes, without what is counted as reduction. */
  wire<Result>(action: () => Result): Result {
    const start = this.#clock.now();
    const reduceBefore = this.#reduce;
    const result = action();
    this.#wire += this.#clock.now() - start - (this.#reduce - reduceBefore);
    return result;
  }

  sent(bytes: number): void {
    this.#bytesSent += bytes;
  }

  received(bytes: number): void {
    this.#bytesReceived += bytes;
  }

  /** Read from a worker's shared memory. */
  shared(bytes: number): void {
    this.#bytesShared += bytes;
  }

  get profile(): RunProfile {
    const wait = Math.max(0, this.#elapsed - this.#compute - this.#reduce - this.#wire);
    return {
      compute: this.#compute / 1000,
      reduce: this.#reduce / 1000,
      wire: this.#wire / 1000,
      wait: wait / 1000,
      bytesSent: this.#bytesSent,
      bytesReceived: this.#bytesReceived,
      bytesShared: this.#bytesShared,
    };
  }
}
