/**
 * Graphs as data, and the builder that makes them. Values are numbered in order: inputs of a value come before it. A
 * graph has named inputs, each with its purpose, and named outputs; it says nothing about batch size or shards.
 */
import { LockstepError } from "../errors.ts";
import type { Attributes, AttributeSchema, AttributesOf, Operation, Tensor } from "./operation.ts";
import { constantOperation, fillOperation, inputOperation } from "./operations/source.ts";
import { checkShape, type DataType, type Shape, type TensorType } from "./values.ts";

export interface Value extends TensorType {
  readonly operation: string;
  readonly inputs: readonly number[];
  readonly attributes: Attributes;
}

/** What an input is for; a mask holds 0 or 1/(1−rate) and belongs to the dropout layer of that number. */
export type InputPurpose =
  | { readonly kind: "features" }
  | { readonly kind: "targets" }
  | { readonly kind: "parameter"; readonly parameter: string }
  | { readonly kind: "mask"; readonly rate: number; readonly layer: number };

export type GraphInput = InputPurpose & { readonly name: string; readonly value: number };

interface GraphOutput {
  readonly name: string;
  readonly value: number;
}

export interface Graph {
  readonly values: readonly Value[];
  readonly inputs: readonly GraphInput[];
  readonly outputs: readonly GraphOutput[];
}

/** Builds one graph. Equal values are made once; what no output needs is left out by `build`. */
export class GraphBuilder {
  readonly #tensors: Tensor[] = [];
  readonly #known = new Map<string, Tensor>();
  readonly #inputs: { readonly name: string; readonly purpose: InputPurpose; readonly tensor: Tensor }[] = [];

  input(name: string, purpose: InputPurpose, shape: Shape, dtype: DataType = "float32"): Tensor {
    const tensor = this.#append(inputOperation, [], { shape }, { shape, dtype });
    this.#inputs.push({ name, purpose, tensor });
    return tensor;
  }

  /** A tensor of known numbers, in row-major order. */
  constant(shape: readonly number[], values: readonly number[]): Tensor {
    return this.apply(constantOperation, [], { shape, values });
  }

  /** A tensor that holds one number everywhere. */
  uniform(shape: Shape, value: number): Tensor {
    return this.apply(fillOperation, [], { shape, value });
  }

  readonly apply = <Schema extends AttributeSchema>(
    operation: Operation<Schema>,
    inputs: readonly Tensor[],
    attributes: AttributesOf<Schema>,
  ): Tensor => {
    const key = JSON.stringify([operation.name, inputs.map((input) => input.index), attributes]);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    if (inputs.some((input) => this.#tensors[input.index] !== input)) {
      throw new LockstepError("GRAPH_INVALID", `${operation.name}: an input belongs to another graph`);
    }
    const tensor = this.#append(operation, inputs, attributes, operation.infer(inputs, attributes));
    this.#known.set(key, tensor);
    return tensor;
  };

  /** All values so far, in order. */
  get tensors(): readonly Tensor[] {
    return this.#tensors;
  }

  /** The graph that computes these outputs, without the values and inputs they don't need. */
  build(outputs: Readonly<Record<string, Tensor>>): Graph {
    const needed = new Set<Tensor>();
    const visit = (tensor: Tensor): void => {
      if (needed.has(tensor)) return;
      needed.add(tensor);
      tensor.inputs.forEach(visit);
    };
    Object.values(outputs).forEach(visit);
    const kept = this.#tensors.filter((tensor) => needed.has(tensor));
    const numbers = new Map(kept.map((tensor, number) => [tensor, number]));
    const numberOf = (tensor: Tensor): number => numbers.get(tensor) as number;
    return {
      values: kept.map((tensor) => ({
        operation: tensor.operation.name,
        inputs: tensor.inputs.map(numberOf),
        attributes: tensor.attributes,
        shape: tensor.shape,
        dtype: tensor.dtype,
      })),
      inputs: this.#inputs
        .filter(({ tensor }) => needed.has(tensor))
        .map(({ name, purpose, tensor }) => ({ ...purpose, name, value: numberOf(tensor) })),
      outputs: Object.entries(outputs).map(([name, tensor]) => ({ name, value: numberOf(tensor) })),
    };
  }

  #append(operation: Operation, inputs: readonly Tensor[], attributes: Attributes, type: TensorType): Tensor {
    checkShape(type.shape, operation.name);
    const tensor: Tensor = { ...type, operation, inputs, attributes, index: this.#tensors.length, apply: this.apply };
    this.#tensors.push(tensor);
    return tensor;
  }
}
