/**
 * Graphs as JSON, as they travel from the coordinator to its workers. Only operations, inputs and attributes travel:
 * shapes are derived again by the operations' own rules, and whatever doesn't follow them is refused as GRAPH_INVALID.
 */
import { LockstepError } from "../errors.ts";
import { LONGEST_NAME } from "../ids.ts";
import { type Graph, GraphBuilder, type GraphInput, type InputPurpose } from "./graph.ts";
import { type AttributeKind, type Attributes, MOST_INPUTS, type Tensor } from "./operation.ts";
import { operationNamed } from "./operations/registry.ts";
import { inputOperation } from "./operations/source.ts";
import type { DataType, Dim, Shape } from "./values.ts";

export interface GraphJson {
  readonly values: readonly {
    readonly operation: string;
    readonly inputs: readonly number[];
    readonly attributes: Attributes;
  }[];
  readonly inputs: readonly (GraphInput & { readonly dtype: DataType })[];
  readonly outputs: Graph["outputs"];
}

export const encodeGraph = ({ values, inputs, outputs }: Graph): GraphJson => ({
  values: values.map((value) => ({ operation: value.operation, inputs: value.inputs, attributes: value.attributes })),
  inputs: inputs.map((input) => ({ ...input, dtype: values[input.value]?.dtype ?? "float32" })),
  outputs,
});

/** More values than any real graph has, and few enough that checking them takes no time. */
const valuesLimit = 100_000;
const numbersLimit = 1_000_000;
/** Inputs and outputs say with a word in front of a parameter's name what they are to it. */
const namesLimit = LONGEST_NAME + 100;

function refuse(message: string): never {
  throw new LockstepError("GRAPH_INVALID", `graph: ${message}`, "Coordinator and worker must be of one version.");
}

type Fields = Readonly<Record<string, unknown>>;

function fieldsOf(json: unknown, names: readonly string[], where: string): Fields {
  if (typeof json !== "object" || json === null || Array.isArray(json)) refuse(`${where} is no object`);
  const keys = Object.keys(json);
  if (keys.length !== names.length || !names.every((name) => Object.hasOwn(json, name))) {
    refuse(`${where} has the fields ${keys.slice(0, 9).join(", ").slice(0, namesLimit)}, not ${names.join(", ")}`);
  }
  return json as Fields;
}

function listOf(json: unknown, limit: number, where: string): readonly unknown[] {
  if (!Array.isArray(json) || json.length > limit) refuse(`${where} is no list of at most ${limit} entries`);
  return json as unknown[];
}

function textOf(json: unknown, where: string): string {
  if (typeof json !== "string" || json.length === 0 || json.length > namesLimit) refuse(`${where} is no name`);
  return json;
}

const isNumber = (json: unknown): json is number => typeof json === "number" && Number.isFinite(json);
const isInteger = (json: unknown): json is number => Number.isSafeInteger(json);

function dimOf(json: unknown, where: string): Dim {
  if (isInteger(json)) return json;
  const { rows } = fieldsOf(json, ["rows"], where);
  return isInteger(rows) ? { rows } : refuse(`${where} is no dimension`);
}

const shapeOf = (json: unknown, where: string): Shape => listOf(json, 16, where).map((dim) => dimOf(dim, where));

function attributeOf(kind: AttributeKind, json: unknown, where: string): Attributes[string] {
  switch (kind) {
    case "number":
      return isNumber(json) ? json : refuse(`${where} is no number`);
    case "integer":
      return isInteger(json) ? json : refuse(`${where} is no integer`);
    case "boolean":
      return typeof json === "boolean" ? json : refuse(`${where} is neither true nor false`);
    case "integers":
      return listOf(json, 16, where).map((entry) => (isInteger(entry) ? entry : refuse(`${where} has no integer`)));
    case "numbers":
      return listOf(json, numbersLimit, where).map((entry) =>
        isNumber(entry) ? entry : refuse(`${where} has no number`),
      );
    case "shape":
      return shapeOf(json, where);
    default:
      return kind satisfies never;
  }
}

function distinct(names: readonly string[], what: string): void {
  const twice = names.find((name, place) => names.indexOf(name) !== place);
  if (twice !== undefined) refuse(`two ${what} are named ${twice}`);
}

/** The tensor of a number in JSON, which must be an earlier value. */
function earlier(json: unknown, tensors: readonly Tensor[], where: string): Tensor {
  const tensor = isInteger(json) ? tensors[json] : undefined;
  return tensor ?? refuse(`${where} names value ${String(json).slice(0, namesLimit)}, of ${tensors.length} before it`);
}

interface ReadInput {
  readonly name: string;
  readonly value: number;
  readonly dtype: DataType;
  readonly purpose: InputPurpose;
}

function inputOf(json: unknown, where: string): ReadInput {
  const kind = typeof json === "object" && json !== null && "kind" in json ? json.kind : undefined;
  const read = (extra: readonly string[]): Fields =>
    fieldsOf(json, ["name", "value", "dtype", "kind", ...extra], where);
  const finish = ({ name, value, dtype }: Fields, purpose: InputPurpose): ReadInput => ({
    name: textOf(name, where),
    value: isInteger(value) ? value : refuse(`${where} names no value`),
    dtype: dtype === "float32" || dtype === "int32" ? dtype : refuse(`${where} has no type`),
    purpose,
  });
  switch (kind) {
    case "features":
    case "targets":
      return finish(read([]), { kind });
    case "parameter": {
      const fields = read(["parameter"]);
      return finish(fields, { kind, parameter: textOf(fields["parameter"], where) });
    }
    case "mask": {
      const fields = read(["rate", "layer"]);
      const { rate, layer } = fields;
      if (!isNumber(rate) || rate < 0 || rate >= 1 || !isInteger(layer)) refuse(`${where} is no mask`);
      return finish(fields, { kind, rate, layer });
    }
    default:
      return refuse(`${where} is of no known kind`);
  }
}

/** The graph a peer sent; throws LockstepError GRAPH_INVALID or SHAPE_MISMATCH for anything else. */
export function decodeGraph(json: unknown): Graph {
  const { values, inputs, outputs } = fieldsOf(json, ["values", "inputs", "outputs"], "it");
  const builder = new GraphBuilder();
  const tensors: Tensor[] = [];
  const fed = new Map(
    listOf(inputs, valuesLimit, "inputs").map((entry, place) => {
      const input = inputOf(entry, `inputs[${place}]`);
      return [input.value, input] as const;
    }),
  );
  listOf(values, valuesLimit, "values").forEach((entry, number) => {
    const where = `values[${number}]`;
    const fields = fieldsOf(entry, ["operation", "inputs", "attributes"], where);
    const operation = operationNamed(textOf(fields["operation"], where));
    const from = listOf(fields["inputs"], MOST_INPUTS, where).map((input) => earlier(input, tensors, where));
    const given = fieldsOf(fields["attributes"], Object.keys(operation.attributes), `${where}.attributes`);
    const attributes = Object.fromEntries(
      Object.entries(operation.attributes).map(([name, kind]) => [
        name,
        attributeOf(kind, given[name], `${where}.${name}`),
      ]),
    );
    if (operation.name !== inputOperation.name) tensors.push(builder.apply(operation, from, attributes));
    else {
      const input = fed.get(number) ?? refuse(`${where} is an input that "inputs" doesn't list`);
      tensors.push(builder.input(input.name, input.purpose, attributes["shape"] as Shape, input.dtype));
    }
  });
  const named = listOf(outputs, valuesLimit, "outputs").map((entry, place) => {
    const { name, value } = fieldsOf(entry, ["name", "value"], `outputs[${place}]`);
    return [textOf(name, `outputs[${place}]`), earlier(value, tensors, `outputs[${place}]`)] as const;
  });
  distinct(
    [...fed.values()].map(({ name }) => name),
    "inputs",
  );
  distinct(
    named.map(([name]) => name),
    "outputs",
  );
  return builder.build(Object.fromEntries(named));
}
