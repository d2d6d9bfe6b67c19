/**
 * An ONNX file as Lockstep reads it: its nodes, its tensors, what goes in and what comes out. Nothing in it is believed
 * before it is checked; what the nodes mean is import/'s business.
 */
import { fromBinary } from "@bufbuild/protobuf";
import { LockstepError } from "../../errors.ts";
import { describePlace, product } from "../../shape.ts";
import {
  AttributeProto_AttributeType as Kind,
  type GraphProto,
  ModelProtoSchema,
  type NodeProto,
  TensorProto_DataLocation as Location,
  TensorProto_DataType as Type,
  type TensorProto,
  type ValueInfoProto,
} from "./onnx_pb.js";

/** A tensor that a file holds; whole numbers and truth values are numbers here. */
export interface StoredTensor {
  readonly type: string;
  readonly shape: readonly number[];
  readonly values: Float32Array | readonly number[];
}

export type NodeAttribute = number | readonly number[] | string | StoredTensor;

export interface OnnxNode {
  /** `Conv "/features/0/Conv"`: what messages call it. */
  readonly called: string;
  readonly type: string;
  /** Empty where an optional input is left out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, NodeAttribute>>;
}

/** An input; a size that the file leaves open is a name. */
export interface OnnxInput {
  readonly name: string;
  readonly shape: readonly (number | string)[];
  /** Whether its numbers are whole, as tokens are. */
  readonly isWhole: boolean;
}

export interface OnnxFile {
  /** What messages call the file. */
  readonly source: string;
  readonly operatorSet: number;
  /** In an order in which they can run. */
  readonly nodes: readonly OnnxNode[];
  readonly initialisers: ReadonlyMap<string, StoredTensor>;
  readonly inputs: readonly OnnxInput[];
  readonly outputs: readonly string[];
}

/** The operator sets whose meaning is known: newer ones may change it. */
const operatorSets = [7, 25] as const;

/** Reads a file's bytes. Throws MODEL_INVALID, naming the file and the node or tensor. */
export function readOnnx(bytes: Uint8Array, source: string): OnnxFile {
  const refuse = (reason: string, hint: string): never => {
    throw new LockstepError("MODEL_INVALID", `${source}: ${reason}`, hint);
  };
  const graph = graphIn(bytes, refuse);
  const tensor = (stored: TensorProto, name: string): StoredTensor => readTensor(stored, name, refuse);
  const initialisers = new Map(graph.initializer.map((stored) => [stored.name, tensor(stored, stored.name)]));
  const nodes = graph.node.map((node, place) => readNode(node, place, tensor, refuse));
  const fed = graph.input.filter(({ name }) => !initialisers.has(name));
  checkOrder(nodes, [...initialisers.keys(), ...fed.map(({ name }) => name)], refuse);
  const outputs = graph.output.map(({ name }) => name);
  return {
    source,
    operatorSet: graph.operatorSet,
    nodes,
    initialisers,
    inputs: fed.map((input) => readInput(input, refuse)),
    outputs,
  };
}

type Refuse = (reason: string, hint: string) => never;

const again = "Export or download it again.";

function graphIn(bytes: Uint8Array, refuse: Refuse): GraphProto & { operatorSet: number } {
  const damaged = (reason: string): never => refuse(`this is no whole ONNX file: ${reason}`, again);
  const model = (() => {
    try {
      return fromBinary(ModelProtoSchema, bytes);
    } catch (cause) {
      return damaged(cause instanceof Error ? cause.message : String(cause));
    }
  })();
  if (model.graph === undefined || model.graph.node.length === 0) return damaged("it has no graph");
  const version = model.opsetImport.find(({ domain }) => domain === "" || domain === "ai.onnx")?.version;
  if (version === undefined) return damaged("it does not say which operators it uses");
  const [oldest, newest] = operatorSets;
  if (version < oldest || version > newest)
    return refuse(
      `it uses version ${version} of the ONNX operators`,
      `Versions ${oldest} to ${newest} are known; onnx.version_converter converts files.`,
    );
  return { ...model.graph, operatorSet: Number(version) };
}

function readNode(
  { opType, domain, name, input, output, attribute }: NodeProto,
  place: number,
  tensor: (stored: TensorProto, name: string) => StoredTensor,
  refuse: Refuse,
): OnnxNode {
  const type = domain === "" || domain === "ai.onnx" ? opType : `${domain}.${opType}`;
  const called = `${type} "${name || output[0] || place}"`;
  const attributes = attribute.map(({ name: key, type: kind, ...values }) => {
    switch (kind) {
      case Kind.FLOAT:
        return [key, values.f] as const;
      case Kind.INT:
        return [key, wholeNumber(values.i)] as const;
      case Kind.STRING:
        return [key, new TextDecoder().decode(values.s)] as const;
      case Kind.FLOATS:
        return [key, values.floats] as const;
      case Kind.INTS:
        return [key, values.ints.map(wholeNumber)] as const;
      case Kind.TENSOR:
        if (values.t === undefined) return refuse(`${called} has no tensor in its ${key}: the file is damaged`, again);
        return [key, tensor(values.t, `${called}.${key}`)] as const;
      default:
        return refuse(
          `${called} has an attribute ${key} of kind ${Kind[kind] ?? kind}`,
          "Graphs within nodes (If, Loop, Scan) cannot be trained: export the model without them.",
        );
    }
  });
  return { called, type, inputs: input, outputs: output, attributes: Object.fromEntries(attributes) };
}

/** Numbers beyond what a double holds exactly stand for "to the end". */
const wholeNumber = (value: bigint): number =>
  Number(BigInt.asIntN(64, value) > 2n ** 53n ? 2n ** 53n - 1n : value < -(2n ** 53n) ? 1n - 2n ** 53n : value);

function readTensor(stored: TensorProto, name: string, refuse: Refuse): StoredTensor {
  const { dims, dataType, dataLocation, rawData } = stored;
  const shape = dims.map(Number);
  const called = `the tensor ${name} [${shape.join(", ")}]`;
  if (dataLocation === Location.EXTERNAL)
    return refuse(`${called} lies in another file`, "Save the model in one file: onnx.save(onnx.load(FILE), FILE).");
  const count = product(shape);
  if (!shape.every((size) => Number.isSafeInteger(size) && size >= 0) || !Number.isSafeInteger(count))
    return refuse(`${called} has no possible shape`, again);
  const values = rawData.length > 0 ? rawValues(rawData, dataType, count) : listedValues(stored);
  const type = Type[dataType]?.toLowerCase() ?? String(dataType);
  if (values === undefined)
    return refuse(
      `${called} is ${type}`,
      "Convert the model to float32; float16 and quantised weights cannot be trained.",
    );
  if (values.length !== count)
    return refuse(`${called} has ${values.length} values, not ${count}: the file is damaged`, again);
  const noNumber = values.findIndex((value) => Number.isNaN(value));
  if (noNumber >= 0)
    return refuse(
      `${called} is NaN at ${describePlace(shape, noNumber)}`,
      "Its training diverged, or the file is damaged: export an earlier state of it.",
    );
  return { type, shape, values };
}

/** Little-endian values; undefined for a type that is not known, and too few where bytes are missing. */
function rawValues(bytes: Uint8Array, type: Type, count: number): StoredTensor["values"] | undefined {
  const width = { [Type.FLOAT]: 4, [Type.INT32]: 4, [Type.INT64]: 8, [Type.DOUBLE]: 8, [Type.BOOL]: 1 }[type as number];
  if (width === undefined) return undefined;
  const given = bytes.length % width === 0 ? bytes.length / width : -1;
  if (given !== count) return Array<number>(Math.max(0, given));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  switch (type) {
    case Type.FLOAT:
      return Float32Array.from({ length: count }, (_, at) => view.getFloat32(4 * at, true));
    case Type.INT32:
      return Array.from({ length: count }, (_, at) => view.getInt32(4 * at, true));
    case Type.INT64:
      return Array.from({ length: count }, (_, at) => wholeNumber(view.getBigInt64(8 * at, true)));
    case Type.DOUBLE:
      return Array.from({ length: count }, (_, at) => view.getFloat64(8 * at, true));
    default:
      return [...bytes];
  }
}

function listedValues({
  dataType,
  floatData,
  int32Data,
  int64Data,
  doubleData,
}: TensorProto): StoredTensor["values"] | undefined {
  switch (dataType as Type) {
    case Type.FLOAT:
      return Float32Array.from(floatData);
    case Type.INT32:
    case Type.BOOL:
      return int32Data;
    case Type.INT64:
      return int64Data.map(wholeNumber);
    case Type.DOUBLE:
      return doubleData;
    default:
      return undefined;
  }
}

function readInput({ name, type }: ValueInfoProto, refuse: Refuse): OnnxInput {
  const tensor = type?.value.case === "tensorType" ? type.value.value : undefined;
  if (tensor?.shape === undefined)
    return refuse(`its input ${name} has no shape`, "Export it with the sizes of a sample.");
  const shape = tensor.shape.dim.map(({ value }, axis) =>
    value.case === "dimValue" ? Number(value.value) : (value.value ?? `?${axis}`),
  );
  const wanted: readonly number[] = [Type.FLOAT, Type.INT32, Type.INT64];
  if (wanted.includes(tensor.elemType)) return { name, shape, isWhole: tensor.elemType !== (Type.FLOAT as number) };
  return refuse(
    `its input ${name} is ${(Type[tensor.elemType] ?? "unknown").toLowerCase()}`,
    "Convert the model to float32.",
  );
}

/** Throws unless every node's inputs are there before it. */
function checkOrder(nodes: readonly OnnxNode[], given: readonly string[], refuse: Refuse): void {
  const known = new Set(["", ...given]);
  for (const { called, inputs, outputs } of nodes) {
    const missing = inputs.find((input) => !known.has(input));
    if (missing !== undefined)
      refuse(`${called} reads ${missing}, which nothing before it gives: the file is damaged`, again);
    for (const output of outputs) known.add(output);
  }
}
