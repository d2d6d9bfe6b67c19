/**
 * onnxruntime on the CPU, one thread. `run` blocks its thread until it is done, and a thread inside it must not be
 * terminated.
 */
import { encodeOnnx } from "../graph/onnx/encode.ts";
import type { Port, Program } from "../graph/program.ts";
import { arrayFor, type Engine, type Inputs, type Outputs, type PreparedProgram } from "./engine.ts";
import { addressOf, onnxRuntime } from "./ort-api.ts";
import type { OnnxRuntime, Pointer } from "./ort-api.ts";

/** The tensors over the arrays that are given for some ports, and what the library is told of them. */
class Bindings {
  readonly names: BigUint64Array;
  readonly tensors: BigUint64Array;
  readonly #library: OnnxRuntime;
  /** The same few arrays come at every run (parameters alternate between two buffers): each is checked and wrapped once. */
  readonly #ports: readonly {
    readonly port: Port<readonly number[]>;
    readonly known: WeakMap<Float32Array | Int32Array, Pointer>;
  }[];
  /** What `names` points to. */
  readonly #texts: readonly Buffer[];

  constructor(library: OnnxRuntime, ports: readonly Port<readonly number[]>[]) {
    this.#library = library;
    this.#ports = ports.map((port) => ({ port, known: new WeakMap() }));
    this.#texts = ports.map(({ name }) => Buffer.from(`${name}\0`));
    this.names = pointers(ports.length);
    this.names.set(this.#texts.map(addressOf));
    this.tensors = pointers(ports.length);
  }

  bind(given: Inputs | Outputs): void {
    this.#ports.forEach(({ port, known }, index) => {
      const array = given[port.name];
      let tensor = array === undefined ? undefined : known.get(array);
      if (tensor === undefined) {
        const checked = arrayFor(port, given);
        tensor = this.#library.tensorOver(checked, port.shape);
        known.set(checked, tensor);
      }
      this.tensors[index] = tensor;
    });
  }
}

/** Room for pointers that does not move. */
const pointers = (count: number): BigUint64Array => new BigUint64Array(new ArrayBuffer(8 * count));

type Ports = Pick<Program, "inputs" | "outputs">;

/** The model in an ONNX file's bytes as it is, with inputs and outputs of known sizes. */
export class Session implements PreparedProgram {
  readonly #library: OnnxRuntime;
  readonly #session: Pointer;
  readonly #inputs: Bindings;
  readonly #outputs: Bindings;

  constructor(library: OnnxRuntime, model: Uint8Array, { inputs, outputs }: Ports) {
    this.#library = library;
    this.#session = library.sessionOf(model);
    this.#inputs = new Bindings(library, inputs);
    this.#outputs = new Bindings(library, outputs);
  }

  async run(inputs: Inputs, outputs: Outputs): Promise<void> {
    this.#inputs.bind(inputs);
    this.#outputs.bind(outputs);
    this.#library.run(this.#session, this.#inputs, this.#outputs);
  }

  async close(): Promise<void> {
    this.#library.release(this.#session);
  }
}

export function onnxRuntimeEngine(): Engine {
  const library = onnxRuntime();
  return {
    name: `onnxruntime-node ${library.version} cpu`,
    async prepare(program) {
      return new Session(library, encodeOnnx(program), program);
    },
  };
}
