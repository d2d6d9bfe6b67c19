/**
 * Which processors the workers of this machine run on. Where their compute threads are as many as the processors, each worker has
 * its own: the system would often put two workers that wait for the same parameters on one processor and let the other idle.
 * On two cores 784-1024-1024-10 took 0.93 of the time (docs/decisions.md); with more processors nothing was measured. With fewer
 * threads the system finds free processors, and two runs on one machine would be kept to the same ones; with more of them nothing
 * was gained.
 */
import { availableParallelism } from "node:os";
import { keepTo, processorsOf } from "../../shared/affinity.ts";
import { operatingSystem } from "../../shared/system.ts";

/**
 * The processors for a worker, out of all that there are.
 * @param worker its index, from 0 on
 * @param threads compute threads of each of the workers
 * @param usable as many processors as may be kept busy: a container's share may be less than it has
 */
export function processorsFor(
  worker: number,
  { workers, threads }: { readonly workers: number; readonly threads: number },
  all: readonly number[],
  usable = availableParallelism(),
): readonly number[] {
  if (workers * threads !== all.length || usable !== all.length) return all;
  return all.slice(worker * threads, (worker + 1) * threads);
}

/** Calls `start`; a process that it starts runs on the processors that were chosen from all, or anywhere if the system refuses. */
export function startOn<T>(choose: (all: readonly number[]) => readonly number[], start: () => T): T {
  const system = operatingSystem();
  const all = system && processorsOf(system);
  if (system === undefined || all === undefined) return start();
  const chosen = choose(all);
  // Whoever is kept to all would not get those that a container is given later.
  if (chosen.length === all.length) return start();
  // A process inherits what the thread that starts it is kept to.
  keepTo(system, chosen);
  try {
    return start();
  } finally {
    keepTo(system, all);
  }
}
