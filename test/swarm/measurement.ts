/** What a coordinator and its light workers hold on to at some moment of a run. */
import type { Lockstep } from "../support/lockstep-process.ts";
import type { Fleet } from "./fleet.ts";
import { usageOf } from "./usage.ts";
import { measure } from "./watched.ts";

export interface Cluster {
  readonly coordinator: Lockstep;
  readonly fleet: Fleet;
}

/** What processes hold on to just after all garbage was collected; memory in bytes. */
export interface Held {
  /** On the heap and in buffers. */
  readonly inUse: number;
  readonly resident: number;
  /** Open files and sockets. */
  readonly descriptors: number;
}

/** The state of things at some moment of the training. */
export interface Measurement {
  /** Steps taken, and workers there at the end of the last. */
  readonly step: number;
  readonly workers: number;
  /** Seconds of the coordinator's time on processors so far. */
  readonly processor: number;
  readonly coordinator: Held;
  /** All processes with workers together. */
  readonly fleet: Held;
}

export async function measured({ coordinator, fleet }: Cluster): Promise<Measurement> {
  const inUse = { coordinator: await measure(coordinator), fleet: await fleet.measure() };
  const { step, workers } = coordinator.events.findLast((event) => event.type === "step")!;
  const { processor, resident, descriptors } = usageOf(coordinator.process.pid!);
  const usages = fleet.pids.map(usageOf);
  const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0);
  return {
    step,
    workers,
    processor,
    coordinator: { inUse: inUse.coordinator, resident, descriptors },
    fleet: {
      inUse: inUse.fleet,
      resident: sum(usages.map((usage) => usage.resident)),
      descriptors: sum(usages.map((usage) => usage.descriptors)),
    },
  };
}
