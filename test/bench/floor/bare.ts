/**
 * `node bare.ts WORKLOAD WORKERS`: bare onnxruntime on a worker's part of a minibatch, as one shard, again and again on the same
 * samples. Prints the processor time a step took, as JSON.
 */
import { configFromObject } from "../../../coordinator/config/resolve.ts";
import { modelFor } from "../../../coordinator/model/model.ts";
import { openData } from "../../../shared/data/open.ts";
import { onnxRuntimeEngine } from "../../../shared/engine/onnxruntime.ts";
import { fuse } from "../../../shared/graph/fuse.ts";
import { Arena } from "../../../shared/memory/arena.ts";
import { layoutOf, slotView } from "../../../shared/memory/layout.ts";
import { initialParameters } from "../../../shared/nn/model.ts";
import { product } from "../../../shared/shape.ts";
import { configOf, warmUpOf, workloads } from "../workloads.ts";

const [, , name, workers] = process.argv;
const workload = workloads.find((each) => each.name === name)!;
const config = configFromObject(configOf(workload, "runs"));
const { train } = await openData(config.data);
const model = await modelFor(config, train);
const rows = workload.batch / Number(workers);
const program = fuse(model.train, [rows]);
const layout = layoutOf(model.parameters);

const ports = [...program.inputs, ...program.outputs];
const arena = new Arena(
  4 * layout.size + ports.reduce((bytes, { shape }) => bytes + 64 * Math.ceil(product(shape) / 16), 0) + 64,
);
const parameters = arena.floats(arena.allocate(4 * layout.size), layout.size);
initialParameters(model, layout, config.seed, parameters);
const arrays = new Map(
  ports.map(({ name: port, shape, dtype }) => {
    const parameter = /^parameter:(.*)$/.exec(port)?.[1];
    if (parameter !== undefined) return [port, slotView(layout, parameter, parameters)];
    const floats = arena.floats(arena.allocate(4 * product(shape)), product(shape));
    return [port, dtype === "int32" ? new Int32Array(floats.buffer, floats.byteOffset, floats.length) : floats];
  }),
);
const given = Object.fromEntries(program.inputs.map((port) => [port.name, arrays.get(port.name)!]));
const wanted = Object.fromEntries(program.outputs.map((port) => [port.name, arrays.get(port.name) as Float32Array]));
train.batch(
  Uint32Array.from({ length: rows }, (_, row) => row),
  given["features"] as Float32Array,
  given["targets"]!,
);

const prepared = await onnxRuntimeEngine().prepare(program);
const warmUp = warmUpOf(workload);
let before = process.threadCpuUsage();
for (let step = 0; step < workload.steps; step++) {
  if (step === warmUp) before = process.threadCpuUsage();
  await prepared.run(given, wanted);
}
const { user, system } = process.threadCpuUsage(before);
console.log(JSON.stringify({ cpuMilliseconds: (user + system) / 1000 / (workload.steps - warmUp) }));
await prepared.close();
