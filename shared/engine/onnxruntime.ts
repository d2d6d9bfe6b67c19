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
  enableCpuMemArena: true,
  enableMemPattern: true,
};

/** Tensor objects over arrays that come again, as parameters and gradients do: making one costs more than finding it. */
class Bindings<Given extends Float32Array | Int32Array> {
  readonly #ports: readonly Port<readonly number[]>[];
  readonly #arrays: (Given | undefined)[] = [];
  readonly tensors: Record<string, onnxruntime.Tensor> = {};

  constructor(ports: readonly Port<readonly number[]>[]) {
    this.#ports = ports;
  }

  bind(given: Readonly<Record<string, Given>>): Record<string, onnxruntime.Tensor> {
    this.#ports.forEach((port, place) => {
      if (given[port.name] === this.#arrays[place] && this.#arrays[place] !== undefined) return;
      const array = arrayFor(port, given);
      this.tensors[port.name] =
        array instanceof Float32Array
          ? new onnxruntime.Tensor("float32", array, port.shape)
          : new onnxruntime.Tensor("int32", array, port.shape);
      this.#arrays[place] = array;
    });
    return this.tensors;
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
