/** What tells whether two workers' arithmetic is the same: the gradient of a run's first shard at random parameters. */
import { createHash } from "node:crypto";
import { cutIntoShards } from "../gradient/plan.ts";
import type { RunPlan } from "../protocol/messages.ts";
import { randomStream } from "../random.ts";
import type { ComputeMemory } from "./memory.ts";
import type { Threads } from "./threads.ts";

/** Random values among the parameters, which repeat: drawing each of millions would block the process for seconds. */
const VALUES = 10_007;

/** Its SHA-256, hex. Overwrites the parameters of even versions. */
export async function probe(
  { seed, batch, shards }: RunPlan,
  memory: ComputeMemory,
  threads: Threads,
): Promise<string> {
  const stream = randomStream(seed, "probe");
  const { buffer, byteOffset, byteLength } = memory.parametersOf(0);
  const parameters = new Float32Array(buffer, byteOffset, byteLength / 4);
  const drawn = Math.min(VALUES, parameters.length);
  for (let index = 0; index < drawn; index++) parameters[index] = 0.1 * (stream.uniform(index) - 0.5);
  for (let index = drawn; index < parameters.length; index += drawn) parameters.copyWithin(index, 0, drawn);
  const { sizes } = cutIntoShards(batch, shards);
  const outputs = memory.acquire("train", 1)!;
  const task = {
    kind: "train",
    step: 0,
    epoch: 0,
    offset: 0,
    first: 0,
    sizes: [sizes[0]!],
    parameters: memory.offsetOf(0),
    outputs,
  } as const;
  await threads.run([task]);
  const hash = createHash("sha256").update(memory.bytesOf("train", outputs[0]!)).digest("hex");
  memory.release("train", ...outputs);
  return hash;
}
