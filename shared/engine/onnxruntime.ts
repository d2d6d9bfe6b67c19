/**
 * onnxruntime on the CPU, one thread. `run` blocks its thread until it is done, and a thread inside it must not be
 * terminated.
 */
import * as onnxruntime from "onnxruntime-node";
import { encodeOnnx } from "../graph/onnx/encode.ts";
import type { Port, Program } from "../graph/program.ts";
import { arrayFor, type Engine, type Inputs, type Outputs, type PreparedProgram } from "./engine.ts";

const sessionOptions: onnxruntime.InferenceSession.SessionOptions = {
  executionProviders: ["cpu"],
  intraOpNumThreads: 1, // with more, the bits of the forward pass change
  interOpNumThreads: 1,
  executionMode: "sequential",
  graphOptimizationLevel: "disabled", // a fusion that fires in one program and not in another would change bits
};

/**
 * Tensor objects over arrays. The same few arrays come at every run (parameters alternate between two buffers), so each
 * is checked and wrapped once for each port.
 */
class Bindings<Given extends Float32Array | Int32Array> {
  readonly #ports: readonly {
    readonly port: Port<readonly number[]>;
    readonly known: WeakMap<Given, onnxruntime.Tensor>;
  }[];

  constructor(ports: readonly Port<readonly number[]>[]) {
    this.#ports = ports.map((port) => ({ port, known: new WeakMap() }));
  }

  bind(given: Readonly<Record<string, Given>>): Record<string, onnxruntime.Tensor> {
    const tensors: Record<string, onnxruntime.Tensor> = {};
    for (const { port, known } of this.#ports) {
      const array = given[port.name];
      let tensor = array === undefined ? undefined : known.get(array);
      if (tensor === undefined) {
        const checked = arrayFor(port, given);
        tensor =
          checked instanceof Float32Array
            ? new onnxruntime.Tensor("float32", checked, port.shape)
            : new onnxruntime.Tensor("int32", checked, port.shape);
        known.set(checked, tensor);
      }
      tensors[port.name] = tensor;
    }
    return tensors;
  }
}

class Session implements PreparedProgram {
  readonly #session: onnxruntime.InferenceSession;
  readonly #inputs: Bindings<Float32Array | Int32Array>;
  readonly #outputs: Bindings<Float32Array>;

  constructor(session: onnxruntime.InferenceSession, program: Program) {
    this.#session = session;
    this.#inputs = new Bindings(program.inputs);
    this.#outputs = new Bindings(program.outputs);
  }

  async run(inputs: Inputs, outputs: Outputs): Promise<void> {
    await this.#session.run(this.#inputs.bind(inputs), this.#outputs.bind(outputs));
  }

  close(): Promise<void> {
    return this.#session.release();
  }
}

export function onnxRuntimeEngine(): Engine {
  return {
    name: `onnxruntime-node ${onnxruntime.env.versions.node ?? "unknown"} cpu`,
    async prepare(program) {
      return new Session(await onnxruntime.InferenceSession.create(encodeOnnx(program), sessionOptions), program);
    },
  };
}
