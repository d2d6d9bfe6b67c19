/** How V8 treats this process, where its defaults cost steps time. For all threads. */
import { setFlagsFromString } from "node:v8";

/**
 * To be called once a process, before buffers are allocated. Frames are short-lived buffers outside the JavaScript heap. By itself
 * V8 counts them against 64 MB of their own and then runs a full collection, 30 ms on a heap this small: more than half of a
 * coordinator's time on a network of 2M parameters. Counted with the heap, and with a heap that may grow to a multiple of what
 * lives, the cheap young collections free them first. Measured on 784-1024-1024-10: 2 full collections a run instead of
 * 110, 60 ms a step instead of 100.
 */
export function tuneGarbageCollection(): void {
  setFlagsFromString("--external-memory-accounted-in-global-limit");
  // Percent of the live heap that may be added before a full collection: some 200 MB here.
  setFlagsFromString("--heap-growing-percent=1000");
}

/**
 * Has functions that are called from now on compiled sooner. By itself V8 interprets each a while first, and hands it to its quick
 * optimising compiler after 400 calls, and 500 behind the last kind of value that was new to it: an epoch of a large network is over
 * by then. Compiled at the first call, the first 118 steps of 784-1024-1024-10 at 512 were 1.08 times as fast. Optimised after 50
 * calls, steps 100 to 400 of 784-64-10 over sockets took 0.72 of the time, through shared memory 0.80 (4 rounds, medians of
 * ratios); on 784-1024-1024-10 over sockets no difference stood out from the noise.
 *
 * This function is not called before the steps begin: it would make the start slower.
 *
 * @param well whether the slow optimising compiler is called sooner, too. It takes over after 3,000 calls, and long after that where a
 * call is short: 784-64-10 over sockets had its best speed from step 12,000 on. Sooner, it costs a second of the first thousand steps,
 * and over sockets some 0.3 ms less are spent on each of the next ten thousand. Through shared memory steps 400 to 8,000
 * took 1.1 times as long.
 */
export function compileSooner({ well }: { readonly well: boolean }): void {
  setFlagsFromString("--always-sparkplug");
  setFlagsFromString("--invocation-count-for-maglev=50");
  setFlagsFromString("--minimum-invocations-after-ic-update=50");
  if (well) setFlagsFromString("--invocation-count-for-turbofan=1000");
}

/** Of 784-64-10 over sockets, whose steps are the shortest, a run of so many has gained what compiling it well has cost. */
export const LONG_RUN = 6_000;
