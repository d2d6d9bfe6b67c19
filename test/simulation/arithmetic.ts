/**
 * Real gradients, computed by production code with the reference evaluator in float32. One runner, with its fused
 * programs, serves the threads of all simulated workers: a task's parameters and sums are copied between its worker's
 * memory and the runner's.
 */
import type { Engine } from "../../shared/engine/engine.ts";
import { referenceEngine } from "../../shared/engine/reference.ts";
import { vectorBytes } from "../../shared/gradient/partial.ts";
import { Arena } from "../../shared/memory/arena.ts";
import { TaskRunner } from "../../shared/compute/runner.ts";
import type { ComputeTask } from "../../shared/compute/task.ts";
import { neverWaits } from "../support/inline-threads.ts";
import { data, job, sampleOf } from "./job.ts";

const parameterBytes = vectorBytes(job.layouts.parameters);
const sumBytes = vectorBytes(job.layouts.partial.train);
const { shards } = job.plan;
const arena = new Arena(parameterBytes + (sumBytes + 64) * shards + 128);
const parameters = arena.allocate(parameterBytes);
const buffers = Array.from({ length: shards }, () => arena.allocate(sumBytes));
const unused = arena.allocate(4);

/** The samples of the last call. */
let samples: number[] = [];

const reference = referenceEngine("float32");
const engine: Engine = {
  name: "simulated",
  async prepare(program) {
    const prepared = await reference.prepare(program);
    return {
      run(inputs, outputs) {
        const features = inputs["features"]!;
        const width = data.train.sampleShape[0]!;
        samples = Array.from({ length: features.length / width }, (_, row) => sampleOf(features[row * width]!));
        return prepared.run(inputs, outputs);
      },
      close: () => prepared.close(),
    };
  },
};

const runner = new TaskRunner(
  {
    threads: 1,
    plan: job.plan,
    memory: arena.memory,
    arrivals: unused,
    interrupts: unused,
    train: data.train.transfer(),
    test: data.test?.transfer(),
  },
  engine,
  () => {},
  // Simulated threads have waited before.
  neverWaits,
);

/** Bytes of the sums of a task. */
export const outputBytes = ({ kind }: ComputeTask): number => vectorBytes(job.layouts.partial[kind]);

/** Computes a task in a worker's memory; resolves to the samples it used. */
export async function compute(memory: WebAssembly.Memory, task: ComputeTask): Promise<readonly number[]> {
  arena.bytes(parameters, parameterBytes).set(new Uint8Array(memory.buffer, task.parameters, parameterBytes));
  const outputs = buffers.slice(0, task.sizes.length);
  // Nobody else writes what lies between the values.
  for (const output of outputs) arena.bytes(output, outputBytes(task)).fill(0);
  const { awaits: _, ticket: __, ...computation } = task;
  await runner.run([{ ...computation, parameters, outputs }]);
  new Uint8Array(memory.buffer, task.outputs[0], outputBytes(task)).set(arena.bytes(outputs[0]!, outputBytes(task)));
  return samples;
}
