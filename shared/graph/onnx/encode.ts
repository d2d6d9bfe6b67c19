/**
 * Programs as ONNX files. Training programs have fixed sizes; an inference file has a symbolic leading dimension
 * "batch", its parameters as initialisers, and names that say what they hold.
 */
import { create, toBinary } from "@bufbuild/protobuf";
import { LockstepError } from "../../errors.ts";
import { product } from "../../shape.ts";
import type { Graph, Value } from "../graph.ts";
import type { Port, Program, Step } from "../program.ts";
import type { Shape } from "../values.ts";
import { emitSteps, ENGINE_DOMAIN, tensorProto, valueInfo } from "./emit.ts";
import { type GraphProto, ModelProtoSchema } from "./onnx_pb.js";

/** The operator set every emitted node belongs to, and the oldest file version that carries it (ONNX 1.14). */
const operatorSet = 19n;
const fileVersion = 9n;

function encode(graph: GraphProto, docString: string): Uint8Array {
  const domains = new Set(graph.node.map(({ domain }) => domain));
  const model = create(ModelProtoSchema, {
    irVersion: fileVersion,
    producerName: "lockstep",
    docString,
    graph,
    opsetImport: [
      { domain: "", version: operatorSet },
      ...(domains.has(ENGINE_DOMAIN) ? [{ domain: ENGINE_DOMAIN, version: 1n }] : []),
    ],
  });
  return toBinary(ModelProtoSchema, model);
}

/** An ONNX file of a program of fixed sizes; everything it is fed is an input. */
export function encodeOnnx(program: Program): Uint8Array {
  const graph = emitSteps(program);
  graph.input.push(...program.inputs.map(valueInfo));
  graph.output.push(...program.outputs.map(valueInfo));
  return encode(graph, "A Lockstep training program: gradients and metrics are sums over the samples.");
}

/** What encodeInferenceOnnx needs of a compiled model. */
interface InferenceModel {
  readonly predict: Graph;
}

/**
 * model.onnx: input "input" float32 [batch, …], output "probabilities" or "output", parameters as initialisers under
 * their own names (0.weight [out, in], 0.bias [out], …).
 */
export function encodeInferenceOnnx(
  model: InferenceModel,
  parameters: Readonly<Record<string, Float32Array>>,
): Uint8Array {
  const { values, inputs, outputs } = model.predict;
  const port = (name: string, tensor: number): Port<Shape> => {
    const { shape, dtype } = values[tensor] as Value;
    return { name, tensor, shape, dtype };
  };
  const named = inputs.map((input) => ({
    input,
    port: port(input.kind === "parameter" ? input.parameter : "input", input.value),
  }));
  const program: Program<Shape> = {
    inputs: named.map((entry) => entry.port),
    outputs: outputs.map(({ name, value }) => ({ ...port(name, value), output: name, shard: 0 })),
    tensors: values,
    steps: values.flatMap((value, output): Step[] =>
      value.operation === "input"
        ? []
        : [
            {
              kind: "operation",
              operation: value.operation,
              attributes: value.attributes,
              inputs: value.inputs,
              output,
            },
          ],
    ),
  };
  const graph = emitSteps(program, "nodes");
  for (const { input, port: at } of named) {
    if (input.kind !== "parameter") {
      graph.input.push(valueInfo(at));
      continue;
    }
    const data = parameters[input.parameter];
    const shape = at.shape as readonly number[];
    if (data === undefined) throw new LockstepError("SHAPE_MISMATCH", `no values for the parameter ${input.parameter}`);
    if (data.length !== product(shape)) {
      const wanted = `[${shape.join(", ")}], ${product(shape)} values`;
      throw new LockstepError("SHAPE_MISMATCH", `${input.parameter} wants ${wanted}, but was given ${data.length}`);
    }
    graph.initializer.push(tensorProto(input.parameter, "float32", shape, data));
  }
  graph.output.push(...program.outputs.map(valueInfo));
  return encode(graph, "A model trained by Lockstep.");
}
