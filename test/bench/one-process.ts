/**
 * The floor of a step in one process: gather the samples, one fused call of the engine for the whole batch, the additions, one
 * update.
 * No socket, no second process, no thread: what distribution costs is measured against this.
 */
import { configFromObject } from "../../coordinator/config/resolve.ts";
import { modelFor } from "../../coordinator/model/model.ts";
import { Crew, CREW_BYTES } from "../../coordinator/crew/crew.ts";
import { optimizerParts } from "../../coordinator/run/plan.ts";
import { ParameterStore, parameterBytes } from "../../coordinator/exchange/parameters.ts";
import { openData } from "../../shared/data/open.ts";
import { onnxRuntimeEngine } from "../../shared/engine/onnxruntime.ts";
import { partialLayouts, vectorBytes } from "../../shared/gradient/partial.ts";
import { cutIntoShards } from "../../shared/gradient/plan.ts";
import { fuse } from "../../shared/graph/fuse.ts";
import { instantiateKernels } from "../../shared/kernels/index.ts";
import { Arena } from "../../shared/memory/arena.ts";
import { addAlongTree } from "../../shared/gradient/add.ts";
import { slotView } from "../../shared/memory/layout.ts";
import { initialParameters } from "../../shared/nn/model.ts";
import { permutation } from "../../shared/random.ts";
import { configOf, warmUpOf } from "./workloads.ts";
import type { Workload } from "./workloads.ts";

export interface OneProcessRound {
  readonly millisecondsAStep: number;
  /** Of which inside the engine, and adding its sums. */
  readonly computeMilliseconds: number;
}

/** Without sockets and second processes, fewer steps say as much. */
const MOST_STEPS = 400;

export async function oneProcess(workload: Workload): Promise<OneProcessRound> {
  const steps = Math.min(workload.steps, MOST_STEPS);
  const config = configFromObject(configOf(workload, "runs"));
  const { train } = await openData(config.data);
  const model = await modelFor(config, train);
  const layouts = partialLayouts(model.parameters, model.metrics);
  const optimizer = optimizerParts(config, layouts.parameters);
  const { batch, seed } = config;
  const width = workload.widths[0]!;
  const layout = layouts.partial.train;
  const { sizes } = cutIntoShards(batch, config.shards);
  const sumBytes = vectorBytes(layout);
  const arena = new Arena(
    CREW_BYTES +
      2 * parameterBytes(layouts.parameters, optimizer) +
      sizes.length * (sumBytes + 64) +
      8 * batch * (width + 16),
  );
  const kernels = instantiateKernels(arena.memory);
  const { learningRate } = config.optimizer;
  const crew = new Crew(arena, kernels, optimizer);
  const store = new ParameterStore(arena, kernels, layouts.parameters, crew, () => learningRate);
  initialParameters(model, layouts.parameters, seed, store.vector);
  const fused = fuse(model.train, sizes);
  const program = await onnxRuntimeEngine().prepare(fused);
  const features = arena.floats(arena.allocate(4 * batch * width), batch * width);
  const targets = new Int32Array(arena.memory.buffer, arena.allocate(4 * batch), batch);
  const terms = sizes.map(() => arena.allocate(sumBytes));
  const outputs = Object.fromEntries(
    fused.outputs.map(({ name, output, shard }) => {
      const slot = output.replace(/^gradient:/, "");
      return [name, slotView(layout, slot, arena.floats(terms[shard]!, layout.size))];
    }),
  );
  // The store alternates between two blocks: one set of views each, as the engine keeps what it derives from them.
  const views = new Map<number, Record<string, Float32Array | Int32Array>>();
  const inputs = (): Record<string, Float32Array | Int32Array> => {
    const { vector } = store;
    const known = views.get(vector.byteOffset);
    if (known !== undefined) return known;
    const made = {
      features,
      targets,
      ...Object.fromEntries(
        model.parameters.map(({ name }) => [`parameter:${name}`, slotView(layouts.parameters, name, vector)]),
      ),
    };
    views.set(vector.byteOffset, made);
    return made;
  };
  const order = permutation(seed, 0, train.length);
  const indices = new Uint32Array(batch);
  let compute = 0;
  const warmUp = Math.min(20, warmUpOf(workload));
  let start = 0;
  for (let step = -warmUp; step < steps; step++) {
    if (step === 0) [start, compute] = [performance.now(), 0];
    const first = ((step + warmUp) * batch) % (train.length - batch);
    for (let row = 0; row < batch; row++) indices[row] = order(first + row);
    train.batch(indices, features, targets);
    const before = performance.now();
    await program.run(inputs(), outputs);
    addAlongTree(kernels, terms, sumBytes);
    compute += performance.now() - before;
    store.update({ root: terms[0]!, additions: [] }, batch, Math.max(0, step));
  }
  const elapsed = performance.now() - start;
  await program.close();
  return { millisecondsAStep: elapsed / steps, computeMilliseconds: compute / steps };
}
