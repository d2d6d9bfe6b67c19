/** What happens in a simulation, as data: who takes part, and what fails when. A seed makes one (seeds.ts), or a test. */
import type { DiskFault } from "./disk.ts";

export interface WorkerPart {
  readonly name: string;
  /** The name that it joins under, where that is another worker's too. */
  readonly joinsAs?: string;
  readonly threads: number;
  /** Milliseconds it computes on a sample. */
  readonly pace: number;
  readonly joinsAt: number;
  /** How it computes wrongly, now and then: a bit of the sum is another, or all of it is no number, or its last metric. */
  readonly lies?: "bit" | "nan" | "last";
}

/** `back`: milliseconds until it is started again; absent, it never is. `silently`: its machine is gone, nobody is told. */
export type Fault = { readonly at: number } & (
  | { readonly kind: "kill"; readonly who: string; readonly back?: number; readonly silently: boolean }
  | { readonly kind: "kill coordinator"; readonly back: number; readonly silently: boolean }
  | { readonly kind: "stop"; readonly back: number }
  /** All workers are gone in the midst of the next evaluation, and the run is stopped then. */
  | { readonly kind: "abandon"; readonly back: number }
  /** An operator has training pause between two steps, or a checkpoint written now. */
  | { readonly kind: "hold"; readonly for: number }
  | { readonly kind: "save" }
  | { readonly kind: "leave"; readonly who: string; readonly back?: number }
  | { readonly kind: "pause"; readonly who: string; readonly for: number }
  | { readonly kind: "jump"; readonly who: string; readonly by: number }
  | { readonly kind: "drop"; readonly who: string }
  | { readonly kind: "half-open"; readonly who: string; readonly mute: "worker" | "coordinator" | "both" }
  | { readonly kind: "partition"; readonly who: readonly string[]; readonly for: number }
  | { readonly kind: "slow"; readonly who: string; readonly for: number }
  | { readonly kind: "slow link"; readonly who: string; readonly for: number }
  | { readonly kind: "duplicate"; readonly who: string; readonly for: number }
  | { readonly kind: "damage"; readonly who: string; readonly for: number }
  | { readonly kind: "disk"; readonly how: DiskFault; readonly for: number }
);

export interface Schedule {
  /** Of everything random that happens on the way. */
  readonly seed: number;
  readonly minWorkers: number;
  /** Steps between checkpoints. */
  readonly checkpointSteps: number;
  /** Share of the partials that are audited, and whether the coordinator's own engine can tell what is right. */
  readonly audit: number;
  readonly referee: boolean;
  readonly workers: readonly WorkerPart[];
  readonly faults: readonly Fault[];
}

/** The coordinator's name among those that are paused or whose clocks jump. */
export const COORDINATOR = "coordinator";

/** The moment from which nothing fails any more; what has ended for a while may take that while longer to begin. */
export function faultsEnd({ faults, workers }: Schedule): number {
  const backs = faults.map((fault) => ("back" in fault ? (fault.back ?? 0) : 0));
  const ends = faults.map((fault) => fault.at + ("for" in fault ? fault.for : 0));
  return Math.max(...workers.map(({ joinsAt }) => joinsAt), ...ends) + Math.max(0, ...backs);
}

/** A schedule for people, one line for each thing. */
export const linesOf = ({ workers, faults, seed, minWorkers, checkpointSteps, audit, referee }: Schedule): string[] => [
  `seed ${seed}: at least ${minWorkers} workers, a checkpoint every ${checkpointSteps} steps, audit ${audit}${referee ? " with a referee" : ""}`,
  ...workers.map(
    ({ name, joinsAs = name, threads, pace, joinsAt, lies }) =>
      `  ${name}: ${threads} threads, ${pace} ms a sample, joins at ${joinsAt} as ${joinsAs}${lies === undefined ? "" : `, lies (${lies})`}`,
  ),
  ...faults.map(({ at, kind, ...rest }) => `  at ${at}: ${kind} ${JSON.stringify(rest).replaceAll('"', "")}`),
];
