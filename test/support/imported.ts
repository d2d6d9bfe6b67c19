/** An ONNX file as Lockstep computes it, and as onnxruntime alone does. */
import * as onnxruntime from "onnxruntime-node";
import { onnxRuntimeEngine } from "../../shared/engine/onnxruntime.ts";
import { fuse } from "../../shared/graph/fuse.ts";
import { type Graph, GraphBuilder } from "../../shared/graph/graph.ts";
import { readOnnx } from "../../shared/graph/onnx/file.ts";
import type { Tensor } from "../../shared/graph/operation.ts";
import { importOnnx, outputOf, storedParameters } from "../../shared/graph/onnx/import/importer.ts";
import { runOnce } from "./programs.ts";

/**
 * What a file computes, as a graph with the output "y"; its parameters are inputs "parameter:<name>". `onParameter` hears of
 * each and of whether it is a statistic.
 */
export function imported(
  bytes: Uint8Array,
  sampleShape: readonly number[],
  output?: string,
  onParameter?: (name: string, statistic: boolean) => void,
): Graph {
  const file = readOnnx(bytes, "test.onnx");
  const builder = new GraphBuilder();
  const x = builder.input("features", { kind: "features" }, [{ rows: 1 }, ...sampleShape]);
  const trained = new Set<Tensor>();
  const isTrained = (tensor: Tensor): boolean => trained.has(tensor) || tensor.inputs.some(isTrained);
  const y = importOnnx(file, outputOf(file, output), x, {
    isTrained,
    parameter(name, shape, statistic) {
      const tensor = builder.input(`parameter:${name}`, { kind: "parameter", parameter: name }, shape);
      onParameter?.(name, statistic);
      if (!statistic) trained.add(tensor);
      return tensor;
    },
  });
  return builder.build({ y });
}

/** What Lockstep makes of samples. */
export async function computed(
  bytes: Uint8Array,
  sampleShape: readonly number[],
  samples: number,
  features: Float32Array,
): Promise<Float32Array> {
  const stored = storedParameters(readOnnx(bytes, "test.onnx"));
  const parameters = Object.fromEntries([...stored].map(([name, { values }]) => [`parameter:${name}`, values]));
  const program = fuse(imported(bytes, sampleShape), [samples]);
  const { y } = await runOnce(onnxRuntimeEngine(), program, { features, ...parameters });
  return y as Float32Array;
}

/** What onnxruntime makes of them, without Lockstep. */
export async function bare(
  bytes: Uint8Array,
  shape: readonly number[],
  features: Float32Array,
  type: "float32" | "int64" = "float32",
): Promise<Float32Array> {
  const session = await onnxruntime.InferenceSession.create(bytes, { logSeverityLevel: 3 });
  const data = type === "float32" ? features : BigInt64Array.from(features, BigInt);
  const results = await session.run({ [session.inputNames[0]!]: new onnxruntime.Tensor(type, data, shape) });
  await session.release();
  return results[session.outputNames[0]!]!.data as Float32Array;
}
