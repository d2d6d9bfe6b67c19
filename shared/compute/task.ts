/** What the worker's main thread and its compute threads say to each other. Memory is shared; messages hold offsets. */
import type { DatasetTransfer } from "../data/dataset.ts";
import type { WorkKind } from "../protocol/messages.ts";
import type { RunPlan } from "../protocol/messages.ts";

/** Given to each thread once. */
export interface ThreadSetup {
  readonly memory: WebAssembly.Memory;
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
  /** Byte offsets in the shared memory: the parameters, and where the sums go. */
  readonly parameters: number;
  readonly output: number;
}

/** Milliseconds the engine's call took. */
export type ComputeResult = number;
