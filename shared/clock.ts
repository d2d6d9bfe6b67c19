/** Time is injected: the cores are given `now`, the runtimes ask a clock, and a simulation brings its own. */

/** Takes a timer back; it may already have run out. */
export type Cancel = () => void;

export interface Clock {
  /** Milliseconds since some fixed moment; never goes back. */
  now(): number;
  /** Runs `action` once, in so many milliseconds. */
  after(milliseconds: number, action: () => void): Cancel;
  /** Runs `action` again and again, every so many milliseconds. */
  every(milliseconds: number, action: () => void): Cancel;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  after(milliseconds, action) {
    const timer = setTimeout(action, milliseconds);
    return () => clearTimeout(timer);
  },
  every(milliseconds, action) {
    const timer = setInterval(action, milliseconds);
    return () => clearInterval(timer);
  },
};

/** Whole microseconds on a clock that all threads and processes of a host share, for what is measured and decides nothing. */
export const hostMicroseconds = (): number => Number(process.hrtime.bigint() / 1000n);

/** Does something at once, but not again within a second, however often it is called. */
export function everySecond(action: () => void): () => void {
  let last = Number.NEGATIVE_INFINITY;
  return () => {
    const now = performance.now();
    if (now - last < 1_000) return;
    last = now;
    action();
  };
}
