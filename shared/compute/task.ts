/** What the worker's main thread and its compute threads say to each other. Memory is shared; messages hold offsets. */
import type { DatasetTransfer } from "../data/dataset.ts";
import type { WorkKind } from "../protocol/messages.ts";
import type { EngineCall, PlacedPartial, RunPlan } from "../protocol/messages.ts";
import { NOTHING } from "../gradient/arrivals.ts";
import type { LineName } from "../protocol/line.ts";

/** Given to each thread once. */
export interface ThreadSetup {
  /** Threads of the pool. */
  readonly threads: number;
  readonly memory: WebAssembly.Memory;
  /** Byte offsets of the signal of arrived parameters, and of the number that grows when threads are to stop waiting for it. */
  readonly arrivals: number;
  readonly interrupts: number;
  readonly plan: RunPlan;
  readonly train: DatasetTransfer;
  readonly test: DatasetTransfer | undefined;
}

/** A subtree of shards, computed by one fused program: one call of the engine, or one for each of its stages. */
export interface ComputeTask {
  readonly kind: WorkKind;
  readonly step: number;
  readonly epoch: number;
  /** Position of the batch in its epoch, and of the subtree's first sample in the batch. */
  readonly offset: number;
  readonly first: number;
  /** Samples of each shard of the subtree. */
  readonly sizes: readonly number[];
  /** Byte offsets in the shared memory: the parameters, and a buffer for the sums of each shard. Their sum goes to the first. */
  readonly parameters: number;
  readonly outputs: readonly number[];
  /** The signal to wait for before the parameters are read, if they may not be here yet. */
  readonly awaits?:
    | {
        readonly arrival: number;
        /** The number of interrupts when the task was handed out: at another one it is put off. */
        readonly interrupts: number;
      }
    | undefined;
  readonly announcement?: Announcement | undefined;
  /** Whether it is computed in stages, each as soon as the buckets of parameters are here that it needs. */
  readonly inStages?: boolean | undefined;
  /** What it is told under when the sums of a bucket are there, if anybody wants to know. */
  readonly ticket?: number | undefined;
}

/** Of a task that is under way, the bytes of its sum from the first one named on are there and stay as they are. */
export interface Progress {
  readonly ticket: number;
  readonly from: number;
}

/** A sum in shared memory that is a whole partial: the thread may say so to the coordinator itself. */
export interface Announcement extends Pick<PlacedPartial, "run" | "work" | "node" | "position"> {
  readonly line: LineName;
}

/** Of a task that was not computed, or not to its end, why: it is to be handed out again, or its work is over. */
export type ComputeResult =
  | {
      /** Time of computing, divided by the number of threads, which compute at the same time. */
      readonly microseconds: number;
      /** Whether the coordinator was told. */
      readonly announced: boolean;
      /** When what was done, where the plan asks for it. */
      readonly calls: readonly EngineCall[];
    }
  | "put off"
  | "too late";

/** Whether the next task of a series may begin: nobody has to do anything about this one. */
export const goesOn = (result: ComputeResult): boolean =>
  result === "too late" || (result !== "put off" && result.announced);

/**
 * Whether a task may go on, by the signal of arrived parameters and the number of interrupts. Parameters of a later version are
 * there once a work is over, so it is not worth computing.
 * @param needed the signal that says enough is here: by default the one of all that the task waits for
 */
export function readiness(
  { awaits }: ComputeTask,
  arrived: number,
  interrupts: number,
  needed = awaits?.arrival ?? NOTHING,
): "ready" | "waiting" | "put off" | "too late" {
  if (awaits === undefined) return "ready";
  if (arrived > awaits.arrival) return "too late";
  if (arrived >= needed) return "ready";
  return interrupts === awaits.interrupts ? "waiting" : "put off";
}
