/** Graphs that travel: what is sent arrives, and bytes from elsewhere can do nothing but be refused. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeGraph, encodeGraph } from "../../../shared/graph/serialise.ts";
import { compileModel } from "../../../shared/nn/model.ts";
import { refusalIfAny } from "../../support/errors.ts";
import { examples, Sources } from "../../support/operations.ts";

const { train, evaluate, predict } = compileModel({
  inputShape: [4, 5],
  target: { kind: "class", classes: 3 },
  layers: [
    { kind: "dense", units: 6, activation: "geluTanh" },
    { kind: "dropout", rate: 0.25 },
    { kind: "dense", units: 3, bias: false },
  ],
  loss: { kind: "crossEntropy", labelSmoothing: 0.1 },
});
type Json = {
  values: Record<string, unknown>[];
  inputs: Record<string, unknown>[];
  outputs: Record<string, unknown>[];
};
const sent = (): Json => JSON.parse(JSON.stringify(encodeGraph(train))) as Json;

test.each(Object.entries({ train, evaluate, predict }))("%s arrives as it was", (_name, graph) => {
  expect(decodeGraph(JSON.parse(JSON.stringify(encodeGraph(graph))))).toEqual(graph);
});

test.each(examples)("$title arrives as it was", ({ output }) => {
  const from = new Sources();
  const graph = from.builder.build({ output: output(from, 5) });
  expect(decodeGraph(JSON.parse(JSON.stringify(encodeGraph(graph))))).toEqual(graph);
});

describe("refuses", () => {
  const attacks: readonly (readonly [string, (json: Json) => unknown, string])[] = [
    ["nothing", () => null, "it is no object"],
    ["a list", () => [], "it is no object"],
    ["other fields", (json) => ({ ...json, extra: 1 }), "it has the fields values, inputs, outputs, extra"],
    ["values that are no list", (json) => ({ ...json, values: {} }), "values is no list"],
    [
      "too many values",
      (json) => ({ ...json, values: Array.from({ length: 100_001 }) }),
      "values is no list of at most 100000",
    ],
    [
      "an unknown operation",
      (json) => void Object.assign(json.values.at(-1) ?? {}, { operation: "eval" }),
      'there is no operation "eval"',
    ],
    [
      "an operation of the prototype",
      (json) => void Object.assign(json.values.at(-1) ?? {}, { operation: "__proto__" }),
      "there is no operation",
    ],
    [
      "a value before it is made",
      (json) => void Object.assign(json.values.at(-1) ?? {}, { inputs: [99_999] }),
      "names value 99999",
    ],
    ["a negative value", (json) => void Object.assign(json.values.at(-1) ?? {}, { inputs: [-1] }), "names value -1"],
    [
      "a value by name",
      (json) => void Object.assign(json.values.at(-1) ?? {}, { inputs: ["constructor"] }),
      "names value constructor",
    ],
    [
      "shapes that don't fit",
      (json) => void Object.assign(json.values[1] ?? {}, { attributes: { shape: [7, 7] } }),
      "reshape to [7, 7]",
    ],
    [
      "a huge shape",
      (json) => void Object.assign(json.values[0] ?? {}, { attributes: { shape: [1e9, 1e9] } }),
      "positive, bounded",
    ],
    [
      "a shape of text",
      (json) => void Object.assign(json.values[0] ?? {}, { attributes: { shape: ["4"] } }),
      "values[0].shape is no object",
    ],
    [
      "missing attributes",
      (json) => void Object.assign(json.values[0] ?? {}, { attributes: {} }),
      "values[0].attributes has the fields",
    ],
    [
      "an input without purpose",
      (json) => void Object.assign(json.inputs[0] ?? {}, { kind: "secret" }),
      "inputs[0] is of no known kind",
    ],
    [
      "an input that isn't listed",
      (json) => ({ ...json, inputs: json.inputs.slice(1) }),
      'values[0] is an input that "inputs" doesn\'t list',
    ],
    [
      "two inputs of one name",
      (json) => void Object.assign(json.inputs[1] ?? {}, { name: json.inputs[0]?.["name"] }),
      "two inputs are named",
    ],
    [
      "two outputs of one name",
      (json) => void Object.assign(json.outputs[1] ?? {}, { name: json.outputs[0]?.["name"] }),
      "two outputs are named",
    ],
    [
      "an output that isn't there",
      (json) => void Object.assign(json.outputs[0] ?? {}, { value: 1e6 }),
      "outputs[0] names value 1000000",
    ],
    [
      "a mask that drops everything",
      (json) => void Object.assign(json.inputs.find(({ kind }) => kind === "mask") ?? {}, { rate: 1 }),
      "is no mask",
    ],
    [
      "a number that isn't one",
      (json) =>
        void Object.assign(json.values.find(({ operation }) => operation === "fill")?.["attributes"] ?? {}, {
          value: null,
        }),
      "is no number",
    ],
    [
      "an endless name",
      (json) => void Object.assign(json.outputs[0] ?? {}, { name: "x".repeat(1101) }),
      "outputs[0] is no name",
    ],
  ];
  test.each(attacks)("%s", (_what, attack, message) => {
    const json = sent();
    const changed = attack(json);
    expect(() => decodeGraph(changed === undefined ? json : changed)).toThrow(message);
  });

  test("whatever else is changed, with a coded error", () => {
    const paths = pathsOf(sent());
    let refused = 0;
    let taken = 0;
    fc.assert(
      fc.property(fc.constantFrom(...paths), fc.jsonValue(), (path, value) => {
        const json = sent();
        replace(json, path, value);
        if (refusalIfAny(() => decodeGraph(json)) === undefined) taken += 1;
        else refused += 1;
      }),
      { numRuns: 500, seed: 7 },
    );
    expect(refused).toBeGreaterThan(100);
    expect(taken).toBeGreaterThan(5);
  });
});

type Path = readonly (string | number)[];
function pathsOf(json: unknown, path: Path = []): Path[] {
  if (typeof json !== "object" || json === null) return [path];
  return [path, ...Object.entries(json).flatMap(([key, value]) => pathsOf(value, [...path, key]))].filter(
    ({ length }) => length > 0,
  );
}
function replace(json: unknown, path: Path, value: unknown): void {
  const holder = path.slice(0, -1).reduce((at, key) => (at as Record<string, unknown>)[key], json);
  (holder as Record<string, unknown>)[path.at(-1) as string] = value;
}
