/** What holds and changes the bytes of a run: one arena with the parameters, the partials and what is shared with workers. */
import type { PartialLayouts } from "../../shared/gradient/partial.ts";
import { vectorBytes } from "../../shared/gradient/partial.ts";
import { instantiateKernels } from "../../shared/kernels/index.ts";
import { Arena } from "../../shared/memory/arena.ts";
import type { WorkKind } from "../../shared/protocol/messages.ts";
import type { RunConfig } from "../config/config.ts";
import { Crew, CREW_BYTES } from "../crew/crew.ts";
import { ParameterStore, parameterBytes } from "../exchange/parameters.ts";
import { sharedBytes, SharedMemory } from "../exchange/shared-memory.ts";
import { Reduction, reductionBytes } from "../reduction/reduction.ts";
import type { RuntimeParts } from "../runtime.ts";
import { optimizerParts } from "./plan.ts";

export type Machinery = Pick<RuntimeParts, "layouts" | "arena" | "kernels" | "store" | "reduction" | "memory"> & {
  readonly crew: Crew;
};

/**
 * Builds it; the parameters hold nothing yet.
 * @param shards into how many the works are cut; @param rateAfter as ParameterStore wants it
 */
export function machineryOf(
  config: RunConfig,
  layouts: PartialLayouts,
  shards: Readonly<Record<WorkKind, number>>,
  rateAfter: (steps: number) => number,
): Machinery {
  const partialBytes = vectorBytes(layouts.partial.train);
  const optimizer = optimizerParts(config, layouts.parameters);
  const ownSpace = CREW_BYTES + parameterBytes(layouts.parameters, optimizer) + reductionBytes(layouts, shards);
  const room = Arena.mostBytes - ownSpace;
  const arena = new Arena(ownSpace + (config.sharedMemory ? sharedBytes(partialBytes, room) : 0));
  const kernels = instantiateKernels(arena.memory);
  const crew = new Crew(arena, kernels, optimizer);
  crew.hire(layouts.parameters.size);
  const store = new ParameterStore(arena, kernels, layouts.parameters, crew, rateAfter);
  const file = config.sharedMemory ? store.share() : undefined;
  const reduction = new Reduction(arena, kernels, crew, layouts, shards);
  const memory = file && new SharedMemory(arena, file, partialBytes, room);
  return { layouts, arena, kernels, crew, store, reduction, memory };
}
