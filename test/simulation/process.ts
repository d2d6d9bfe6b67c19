/**
 * A process on a machine of its own: its timers and what arrives for it run in virtual time, wait while it is paused, and
 * never come once it is dead. It is the clock that production code is given.
 */
import type { Cancel, Clock } from "../../shared/clock.ts";
import type { World } from "./world.ts";

/** Pools of a process with the buffers that are in use, and how many users each has (see memory.ts). */
export type BuffersInUse = Map<object, Map<number, number>>;

export class SimulatedProcess implements Clock {
  /** Whose code is running; promises go on before the next event, so it holds for them too. */
  static running: SimulatedProcess | undefined;

  readonly name: string;
  readonly world: World;
  readonly buffers: BuffersInUse = new Map();
  /** Vectors of which frames wait to be sent; a worker keeps the buffers that they are made from. */
  sending = 0;
  /** Sections that are being read to where they belong; a coordinator keeps the buffers that they are read to. */
  reading = 0;
  alive = true;
  #wakesAt = 0;
  /** What has come while it was paused. */
  readonly #deferred: (() => void)[] = [];
  /** By how much its clock has jumped. */
  #ahead = 0;

  constructor(name: string, world: World) {
    this.name = name;
    this.world = world;
  }

  now(): number {
    return this.world.now + this.#ahead;
  }

  after(milliseconds: number, action: () => void): Cancel {
    let cancelled = false;
    this.world.after(milliseconds, () => this.perform(() => cancelled || action()));
    return () => {
      cancelled = true;
    };
  }

  every(milliseconds: number, action: () => void): Cancel {
    let cancelled = false;
    const again = (): void => {
      if (cancelled) return;
      action();
      this.after(milliseconds, again);
    };
    this.after(milliseconds, again);
    return () => {
      cancelled = true;
    };
  }

  /** Runs its code now, or when it wakes; never if it is dead by then. */
  perform(action: () => void): void {
    if (!this.alive) return;
    if (this.#deferred.length === 0 && this.world.now >= this.#wakesAt) {
      this.#run(action);
      return;
    }
    this.#deferred.push(action);
    if (this.#deferred.length === 1) this.world.at(this.#wakesAt, () => this.#wake());
  }

  /** Does what has waited, one event each, in the order it came. */
  #wake(): void {
    if (!this.alive) return;
    if (this.world.now < this.#wakesAt) {
      this.world.at(this.#wakesAt, () => this.#wake());
      return;
    }
    this.#run(this.#deferred.shift()!);
    if (this.#deferred.length > 0) this.world.at(this.world.now, () => this.#wake());
  }

  #run(action: () => void): void {
    SimulatedProcess.running = this;
    action();
  }

  pause(milliseconds: number): void {
    this.#wakesAt = Math.max(this.#wakesAt, this.world.now + milliseconds);
  }

  jump(milliseconds: number): void {
    this.#ahead += milliseconds;
  }
}
