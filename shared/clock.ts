/** Time is injected: the cores are given `now`, the runtimes ask a clock, and a simulation brings its own. */

export interface Clock {
  /** Milliseconds since some fixed moment; never goes back. */
  now(): number;
}

export const systemClock: Clock = { now: () => performance.now() };
