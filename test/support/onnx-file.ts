/** ONNX files as a test needs them, written message by message: what Lockstep would never write, and what is damaged. */
import { create, toBinary } from "@bufbuild/protobuf";
import {
  AttributeProto_AttributeType as Kind,
  AttributeProtoSchema,
  GraphProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
  TensorProto_DataType as Type,
  TensorProtoSchema,
  ValueInfoProtoSchema,
} from "../../shared/graph/onnx/onnx_pb.js";

/** A float is written with `float`, as ONNX tells integers and floats apart; a list of floats with `floats`. */
export type Attribute =
  | number
  | string
  | readonly number[]
  | { readonly float: number }
  | { readonly floats: readonly number[] }
  | { readonly tensor: Stored | undefined };

export interface Stored {
  readonly shape: readonly number[];
  readonly values: readonly number[];
  /** By default float. */
  readonly type?: keyof typeof Type;
}

export interface FileNode {
  readonly type: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes?: Readonly<Record<string, Attribute>>;
}

export const node = (type: string, inputs: string[], outputs: string[], attributes = {}): FileNode => ({
  type,
  inputs,
  outputs,
  attributes,
});

export interface FileParts {
  readonly nodes: readonly FileNode[];
  /** Names are sizes that the file leaves open. */
  readonly inputs?: Readonly<Record<string, readonly (number | string)[]>>;
  readonly inputType?: keyof typeof Type;
  readonly initialisers?: Readonly<Record<string, Stored>>;
  readonly outputs?: readonly string[];
  readonly operatorSet?: number;
}

function tensor(name: string, { shape, values, type = "FLOAT" }: Stored) {
  const dims = shape.map(BigInt);
  const dataType = Type[type];
  switch (type) {
    case "INT64":
      return create(TensorProtoSchema, { name, dims, dataType, int64Data: values.map(BigInt) });
    case "INT32":
    case "BOOL":
      return create(TensorProtoSchema, { name, dims, dataType, int32Data: [...values] });
    default:
      return create(TensorProtoSchema, { name, dims, dataType, floatData: [...values] });
  }
}

function attribute(name: string, value: Attribute) {
  if (typeof value === "number") return create(AttributeProtoSchema, { name, type: Kind.INT, i: BigInt(value) });
  if (typeof value === "string")
    return create(AttributeProtoSchema, { name, type: Kind.STRING, s: new TextEncoder().encode(value) });
  if ("float" in value) return create(AttributeProtoSchema, { name, type: Kind.FLOAT, f: value.float });
  if ("floats" in value) return create(AttributeProtoSchema, { name, type: Kind.FLOATS, floats: [...value.floats] });
  if ("tensor" in value) {
    const t = value.tensor === undefined ? {} : { t: tensor("", value.tensor) };
    return create(AttributeProtoSchema, { name, type: Kind.TENSOR, ...t });
  }
  return create(AttributeProtoSchema, { name, type: Kind.INTS, ints: value.map(BigInt) });
}

/** The bytes of a file; by default it has an input x [batch, 4] and the output y. */
export function onnxFile(parts: FileParts): Uint8Array {
  const { nodes, inputs = { x: ["batch", 4] }, inputType = "FLOAT", initialisers = {}, outputs = ["y"] } = parts;
  const port = (name: string, shape?: readonly (number | string)[]) => {
    const dim = shape?.map((size) =>
      typeof size === "number"
        ? { value: { case: "dimValue" as const, value: BigInt(size) } }
        : { value: { case: "dimParam" as const, value: size } },
    );
    const value = { elemType: Type[inputType], ...(dim === undefined ? {} : { shape: { dim } }) };
    return create(ValueInfoProtoSchema, { name, type: { value: { case: "tensorType", value } } });
  };
  const graph = create(GraphProtoSchema, {
    name: "test",
    node: nodes.map(({ type, inputs: input, outputs: output, attributes = {} }) =>
      create(NodeProtoSchema, {
        opType: type,
        input: [...input],
        output: [...output],
        attribute: Object.entries(attributes).map(([name, value]) => attribute(name, value)),
      }),
    ),
    initializer: Object.entries(initialisers).map(([name, stored]) => tensor(name, stored)),
    input: Object.entries(inputs).map(([name, shape]) => port(name, shape)),
    output: outputs.map((name) => port(name)),
  });
  const opsetImport = [{ domain: "", version: BigInt(parts.operatorSet ?? 19) }];
  return toBinary(ModelProtoSchema, create(ModelProtoSchema, { irVersion: 9n, graph, opsetImport }));
}
