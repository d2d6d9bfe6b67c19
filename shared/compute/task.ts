/** What the worker's main thread and its compute threads say to each other. Memory is shared; messages hold offsets. */
import type { DatasetTransfer } from "../data/dataset.ts";
import type { WorkKind } from "../protocol/messages.ts";
import type { EngineCall, PlacedPartial, RunPlan } from "../protocol/messages.ts";
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

/** One call of the engine: a subtree of shards, computed by one fused program. */
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
}

/** A sum in shared memory that is a whole partial: the thread may say so to the coordinator itself. */
export interface Announcement extends Pick<PlacedPartial, "run" | "work" | "node" | "position"> {
  readonly line: LineName;
}

/** Of a task that was not computed, why: it is to be handed out again, or its work is over. */
export type ComputeResult =
  | {
      /** Milliseconds of computing. */
      readonly milliseconds: number;
      /** Whether the coordinator was told. */
      readonly announced: boolean;
      /** When what was done, where the plan asks for it. */
      readonly call?: EngineCall | undefined;
    }
  | "put off"
  | "too late";

/** Whether the next task of a series may begin: nobody has to do anything about this one. */
export const goesOn = (result: ComputeResult): boolean =>
  result === "too late" || (result !== "put off" && result.announced);

/**
 * Whether a task may begin, by the signal of arrived parameters and the number of interrupts. Parameters of a later version are
 * there once a work is over, so it is not worth computing.
 */
export function readiness(
  { awaits }: ComputeTask,
  arrived: number,
  interrupts: number,
): "ready" | "waiting" | "put off" | "too late" {
  if (awaits === undefined || arrived === awaits.arrival) return "ready";
  if (arrived > awaits.arrival) return "too late";
  return interrupts === awaits.interrupts ? "waiting" : "put off";
}
