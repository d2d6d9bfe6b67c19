/** The end of a training step whose partials lie in memory that is shared. */
import { expect, it } from "vitest";
import { commit } from "../../../coordinator/exchange/commit.ts";
import { Crew, CREW_BYTES } from "../../../coordinator/crew/crew.ts";
import { ParameterStore, parameterBytes } from "../../../coordinator/exchange/parameters.ts";
import { Reduction, reductionBytes } from "../../../coordinator/reduction/reduction.ts";
import { partialLayouts, vectorBytes } from "../../../shared/gradient/partial.ts";
import { runId, workerId } from "../../../shared/ids.ts";
import { instantiateKernels } from "../../../shared/kernels/index.ts";
import { Arena } from "../../../shared/memory/arena.ts";
import { blockwiseChecksum } from "../../../shared/memory/blocks.ts";
import { CoordinatorTrace } from "../../support/coordinator-trace.ts";
import { regressionPlan } from "../../support/regression-plan.ts";

const WORKERS = ["a", "b", "c"];

/** Commits a step of three leaves, all ones; returns what was said, and the parameters, which were 0. */
async function committed(damaged?: string): Promise<{ said: ReturnType<typeof commit>; parameters: number[] }> {
  const plan = await regressionPlan({ samples: 6, batch: 6, shards: 3, layers: [{ kind: "dense", units: 1 }] });
  const layouts = partialLayouts(plan.parameters, plan.metrics, plan.evaluated);
  const layout = layouts.parameters;
  const optimizer = { spec: { kind: "sgd", learningRate: 0.5 }, surroundings: { layout } } as const;
  const shards = { train: 3, evaluate: 1 };
  const bytes = vectorBytes(layouts.partial.train);
  const placed = WORKERS.length * bytes;
  const arena = new Arena(CREW_BYTES + parameterBytes(layout, optimizer) + reductionBytes(layouts, shards) + placed);
  const kernels = instantiateKernels(arena.memory);
  const crew = new Crew(arena, kernels, optimizer);
  const store = new ParameterStore(arena, kernels, layout, crew, () => 0.5);
  const reduction = new Reduction(arena, kernels, crew, layouts, shards);
  const run = new CoordinatorTrace({ trainSamples: 6, batch: 6, shards: 3, startWorkers: 3, countsCorrect: false });
  for (const worker of WORKERS) run.join(worker);
  const work = run.state.work!;
  reduction.open(work);
  for (const [shard, worker] of WORKERS.entries()) {
    const place = arena.allocate(bytes);
    for (const { offset, length } of layout.slots) arena.floats(place, bytes / 4).fill(1, offset, offset + length);
    const checksum = blockwiseChecksum(kernels, place, bytes);
    if (worker === damaged) arena.bytes(place, bytes)[1]! ^= 1;
    const named = { run: runId("run"), work: work.name, node: [shard, shard + 1] } as const;
    const message = { type: "placed-partial", ...named, computeMicroseconds: 0, position: 0, checksum } as const;
    reduction.takePlaced(workerId(worker), message, place);
    run.assembled(worker, `${shard}-${shard + 1}`);
    reduction.fold(workerId(worker), { start: shard, end: shard + 1 });
  }
  const said = commit({ arena, kernels, layouts, plan, reduction, store, state: run.state }, work);
  const parameters = layout.slots.flatMap(({ offset, length }) => [...store.vector.subarray(offset, offset + length)]);
  return { said, parameters };
}

it("takes the step by the mean gradient", async () => {
  const { said, parameters } = await committed();
  expect(said).toMatchObject({ type: "committed", finite: true });
  expect(parameters).toEqual([-0.25, -0.25, -0.25]);
});

it.each(WORKERS)("changes no parameters where what %s has left is damaged, and says so", async (worker) => {
  const { said, parameters } = await committed(worker);
  expect(said).toEqual({ type: "spoiled", by: [workerId(worker)] });
  expect(parameters).toEqual([0, 0, 0]);
});
