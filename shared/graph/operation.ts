/**
 * What an operation is. One object holds its shape rule, its derivative, its ONNX form and its reference evaluation, so
 * that they are read and changed together. A new operation is one such object and its line in operations/registry.ts.
 */
import { inspect } from "node:util";
import { form, listOf, size } from "../arguments.ts";
import { LockstepError } from "../errors.ts";
import type { Shape, TensorType } from "./values.ts";

/** What an attribute may be; JSON-able, and checked against the schema when a graph arrives from elsewhere. */
interface AttributeTypes {
  number: number;
  integer: number;
  boolean: boolean;
  integers: readonly number[];
  numbers: readonly number[];
  shape: Shape;
}
export type AttributeKind = keyof AttributeTypes;
export type AttributeSchema = Readonly<Record<string, AttributeKind>>;
export type AttributesOf<Schema extends AttributeSchema> = {
  readonly [Name in keyof Schema]: AttributeTypes[Schema[Name]];
};
export type Attributes = AttributesOf<AttributeSchema>;

/** Inputs that a value may have; a graph from elsewhere with more is refused. */
export const MOST_INPUTS = 64;

/** A value of a graph under construction. Functions such as `add` and `relu` take and return these. */
export interface Tensor extends TensorType {
  readonly operation: Operation;
  readonly inputs: readonly Tensor[];
  readonly attributes: Attributes;
  /** Its number in the graph; inputs have smaller numbers. */
  readonly index: number;
  /** Adds a value to the same graph; the same operation on the same inputs is returned, not repeated. */
  readonly apply: <Schema extends AttributeSchema>(
    operation: Operation<Schema>,
    inputs: readonly Tensor[],
    attributes: AttributesOf<Schema>,
  ) => Tensor;
}

const isTensor = (value: unknown): value is Tensor =>
  typeof value === "object" && value !== null && "operation" in value && "apply" in value;
const isDim = (value: unknown): boolean => size.fits(value) || size.fits(Object(value).rows);

/** What functions of tensors take. */
export const tensor = form("a tensor", isTensor);
export const tensors = form(
  "a list of at least one tensor",
  (value) => Array.isArray(value) && value.length > 0 && value.every(isTensor),
);
export const shape = listOf("sizes, of which the first may be { rows: 1 }, as x.shape has it", isDim);

/** What a function of one's own returned. Throws CONFIG_INVALID, naming the function, where that is no tensor. */
export function returnedBy(name: string, result: unknown): Tensor {
  if (isTensor(result)) return result;
  const message = `${name} returned ${inspect(result)}, expected a tensor`;
  throw new LockstepError("CONFIG_INVALID", message, "Let the function return what its last operation gives.");
}

/** What a derivative rule sees. `gradient` has the output's shape. */
export interface GradientContext<Attributes> {
  readonly inputs: readonly Tensor[];
  readonly output: Tensor;
  readonly gradient: Tensor;
  readonly attributes: Attributes;
}

export type OnnxAttribute = number | readonly number[] | { readonly float: number } | string;

/** What an ONNX form sees: names of tensors, and a way to add nodes and constants. */
export interface EmitContext<Attributes> {
  readonly inputs: readonly string[];
  readonly output: string;
  readonly inputTypes: readonly TensorType[];
  readonly outputType: TensorType;
  readonly attributes: Attributes;
  /** Adds a node; integers become INT(S), { float } FLOAT, text STRING. Returns the name of its output, by default a fresh one. */
  readonly node: (
    type: string,
    inputs: readonly string[],
    attributes?: Record<string, OnnxAttribute>,
    output?: string,
  ) => string;
  /** Adds a node of several outputs. */
  readonly nodes: (
    type: string,
    inputs: readonly string[],
    attributes: Record<string, OnnxAttribute>,
    outputs: number,
  ) => readonly string[];
  /** The name of an initialiser with this content; equal ones are shared. */
  readonly constant: (
    type: "float32" | "int64" | "int32",
    shape: readonly number[],
    values: readonly number[],
  ) => string;
  /** The name of a 1-D int64 initialiser that Reshape takes as this shape; the sample dimension becomes -1. */
  readonly shapeConstant: (shape: Shape) => string;
}

/** A tensor of the reference evaluator; the array's type is the precision. */
export interface NumericTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array | Float64Array | Int32Array;
}

export interface Operation<Schema extends AttributeSchema = AttributeSchema> {
  readonly name: string;
  /**
   * "independent": the bits of a row are the same whatever rows stand beside it and wherever it stands, so the operation
   * runs once over all shards. "per-shard": not so in the engine, and it runs on every shard alone. The contract test
   * test/contract/operations.test.ts holds every operation to its word.
   */
  readonly rows: "independent" | "per-shard";
  readonly attributes: Schema;
  /** The output's type; throws SHAPE_MISMATCH with the shapes when inputs don't fit. */
  infer(inputs: readonly TensorType[], attributes: AttributesOf<Schema>): TensorType;
  /** The gradient with respect to each input, in its shape; undefined where none flows. */
  gradient(context: GradientContext<AttributesOf<Schema>>): readonly (Tensor | undefined)[];
  emit(context: EmitContext<AttributesOf<Schema>>): void;
  /** Fills `output.data`. Plain loops: this is the oracle. */
  evaluate(inputs: readonly NumericTensor[], output: NumericTensor, attributes: AttributesOf<Schema>): void;
}

/** Types an operation by its attribute schema and erases the schema for the registry. */
export function defineOperation<const Schema extends AttributeSchema>(operation: Operation<Schema>): Operation<Schema> {
  return operation;
}
