/** The steps of a program as the nodes and initialisers of an ONNX graph. */
import { create } from "@bufbuild/protobuf";
import { unreachable } from "../../errors.ts";
import type { Attributes, EmitContext, OnnxAttribute } from "../operation.ts";
import { operationNamed } from "../operations/registry.ts";
import type { Port, Program, ProgramTensor, Step } from "../program.ts";
import type { Shape } from "../values.ts";
import {
  type AttributeProto,
  AttributeProto_AttributeType as Kind,
  AttributeProtoSchema,
  type GraphProto,
  GraphProtoSchema,
  NodeProtoSchema,
  type TensorProto,
  TensorProto_DataType as ElementType,
  TensorProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from "./onnx_pb.js";

const elementTypes = { float32: ElementType.FLOAT, int32: ElementType.INT32, int64: ElementType.INT64 } as const;

function attributeProto(name: string, value: OnnxAttribute | TensorProto): AttributeProto {
  if (typeof value === "number") return create(AttributeProtoSchema, { name, type: Kind.INT, i: BigInt(value) });
  if (typeof value === "string") {
    return create(AttributeProtoSchema, { name, type: Kind.STRING, s: new TextEncoder().encode(value) });
  }
  if ("dims" in value) return create(AttributeProtoSchema, { name, type: Kind.TENSOR, t: value });
  if ("float" in value) return create(AttributeProtoSchema, { name, type: Kind.FLOAT, f: value.float });
  return create(AttributeProtoSchema, { name, type: Kind.INTS, ints: value.map(BigInt) });
}

/** What a file says about an input or output; a symbolic leading dimension is called "batch". */
export function valueInfo({ name, shape, dtype }: Port<Shape>): ValueInfoProto {
  const dim = shape.map((size) =>
    typeof size === "number"
      ? { value: { case: "dimValue" as const, value: BigInt(size) } }
      : { value: { case: "dimParam" as const, value: size.rows === 1 ? "batch" : `batch*${size.rows}` } },
  );
  const type = { value: { case: "tensorType" as const, value: { elemType: elementTypes[dtype], shape: { dim } } } };
  return create(ValueInfoProtoSchema, { name, type });
}

/** Little-endian bytes, whatever the machine. */
function rawBytes(type: keyof typeof elementTypes, values: ArrayLike<number>): Uint8Array {
  const width = type === "int64" ? 8 : 4;
  const view = new DataView(new ArrayBuffer(values.length * width));
  for (let entry = 0; entry < values.length; entry++) {
    const value = values[entry] as number;
    if (type === "float32") view.setFloat32(entry * width, value, true);
    else if (type === "int32") view.setInt32(entry * width, value, true);
    else view.setBigInt64(entry * width, BigInt(value), true);
  }
  return new Uint8Array(view.buffer);
}

export const tensorProto = (
  name: string,
  type: keyof typeof elementTypes,
  shape: readonly number[],
  values: ArrayLike<number>,
): TensorProto =>
  create(TensorProtoSchema, {
    name,
    dims: shape.map(BigInt),
    dataType: elementTypes[type],
    rawData: rawBytes(type, values),
  });

/** Where the numbers of formulas go: in a file for others, into nodes, so that only parameters look like parameters. */
type ConstantsAre = "initialisers" | "nodes";

/** Where operators of onnxruntime's own are from, which are in training programs alone; and those that are used. */
export const ENGINE_DOMAIN = "com.microsoft";
const ownOperators: ReadonlySet<string> = new Set(["FusedMatMul"]);

/** Names tensors and collects nodes and initialisers while steps are emitted. */
class Emitter {
  readonly graph: GraphProto = create(GraphProtoSchema, { name: "lockstep" });
  readonly #program: Program<Shape>;
  readonly #constantsAre: ConstantsAre;
  readonly #names: string[];
  /** Names of what goes in and out: those of a fine-tuned file's parameters may be any. */
  readonly #taken: ReadonlySet<string>;
  readonly #constants = new Map<string, string>();

  constructor(program: Program<Shape>, constantsAre: ConstantsAre) {
    this.#program = program;
    this.#constantsAre = constantsAre;
    this.#taken = new Set([...program.inputs, ...program.outputs].map(({ name }) => name));
    this.#names = program.tensors.map((_, tensor) => this.#free(`t${tensor}`));
    for (const port of program.outputs) this.#names[port.tensor] = port.name;
    for (const port of program.inputs) this.#names[port.tensor] = port.name;
    program.steps.forEach((step) => this.#emit(step));
    // An output that is an input, or that two names share, has no node that could carry its name.
    for (const port of program.outputs) {
      if (this.#name(port.tensor) !== port.name) this.#node("Identity", [this.#name(port.tensor)], {}, [port.name]);
    }
  }

  #name(tensor: number): string {
    return this.#names[tensor] as string;
  }

  #free(name: string): string {
    return this.#taken.has(name) ? this.#free(`${name}_`) : name;
  }

  #emit(step: Step): void {
    switch (step.kind) {
      case "operation":
        operationNamed(step.operation).emit(this.#context(step));
        return;
      case "split": {
        const sizes = this.#constant("int64", [step.sizes.length], step.sizes);
        const outputs = step.outputs.map((output) => this.#name(output));
        this.#node("Split", [this.#name(step.input), sizes], { axis: 0 }, outputs);
        return;
      }
      case "concat":
        this.#node(
          "Concat",
          step.inputs.map((input) => this.#name(input)),
          { axis: 0 },
          [this.#name(step.output)],
        );
        return;
      default:
        unreachable(step);
    }
  }

  #context(step: Step & { kind: "operation" }): EmitContext<Attributes> {
    const typeOf = (tensor: number) => this.#program.tensors[tensor] as ProgramTensor<Shape>;
    const output = this.#name(step.output);
    let inner = 0;
    return {
      inputs: step.inputs.map((input) => this.#name(input)),
      output,
      inputTypes: step.inputs.map(typeOf),
      outputType: typeOf(step.output),
      attributes: step.attributes,
      node: (type, inputs, attributes = {}, name = this.#free(`${output}/${inner++}`)) => {
        this.#node(type, inputs, attributes, [name]);
        return name;
      },
      nodes: (type, inputs, attributes, count) => {
        const names = Array.from({ length: count }, () => this.#free(`${output}/${inner++}`));
        this.#node(type, inputs, attributes, names);
        return names;
      },
      constant: (type, shape, values) => this.#constant(type, shape, values),
      shapeConstant: (shape) =>
        this.#constant(
          "int64",
          [shape.length],
          shape.map((dim) => (typeof dim === "object" ? -1 : dim)),
        ),
    };
  }

  #node(
    opType: string,
    input: readonly string[],
    attributes: Record<string, OnnxAttribute | TensorProto>,
    output: string[],
  ): void {
    const attribute = Object.entries(attributes).map(([name, value]) => attributeProto(name, value));
    const name = `${opType}_${this.graph.node.length}`;
    const domain = ownOperators.has(opType) ? ENGINE_DOMAIN : "";
    this.graph.node.push(create(NodeProtoSchema, { name, opType, domain, input: [...input], output, attribute }));
  }

  #constant(type: keyof typeof elementTypes, shape: readonly number[], values: readonly number[]): string {
    const key = `${type}[${shape.join(",")}]:${values.join(",")}`;
    let name = this.#constants.get(key);
    if (name === undefined) {
      name = this.#free(`constant_${this.#constants.size}`);
      this.#constants.set(key, name);
      const tensor = tensorProto(name, type, shape, values);
      if (this.#constantsAre === "initialisers") this.graph.initializer.push(tensor);
      else this.#node("Constant", [], { value: tensor }, [name]);
    }
    return name;
  }
}

/** The nodes and initialisers of a program. Inputs and outputs are the caller's to declare. */
export const emitSteps = (program: Program<Shape>, constantsAre: ConstantsAre = "initialisers"): GraphProto =>
  new Emitter(program, constantsAre).graph;
