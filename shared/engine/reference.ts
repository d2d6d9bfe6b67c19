/**
 * The plain evaluator: every step by the loops that stand beside its operation. In float64 it is the oracle of the tests;
 * in float32 (every tensor rounded) it is a light engine for simulations.
 */
import { unreachable } from "../errors.ts";
import type { NumericTensor } from "../graph/operation.ts";
import { operationNamed } from "../graph/operations/registry.ts";
import type { Program, Step } from "../graph/program.ts";
import { product } from "../shape.ts";
import { arrayFor, type Engine } from "./engine.ts";

type Precision = "float32" | "float64";
type Numbers = NumericTensor["data"];

/** Runs a program in doubles or in floats; `inputs` by name, and so the outputs. Float64Arrays keep their precision. */
export function evaluateProgram(
  program: Program,
  inputs: Readonly<Record<string, Numbers>>,
  precision: Precision,
): Record<string, Numbers> {
  const Floats = precision === "float32" ? Float32Array : Float64Array;
  const tensors: NumericTensor[] = program.tensors.map(({ shape, dtype }) => ({
    shape,
    data: dtype === "int32" ? new Int32Array(product(shape)) : new Floats(product(shape)),
  }));
  const at = (tensor: number): NumericTensor => tensors[tensor] as NumericTensor;
  for (const { name, tensor } of program.inputs) at(tensor).data.set(inputs[name] as Numbers);
  for (const step of program.steps) evaluateStep(step, at);
  return Object.fromEntries(program.outputs.map(({ name, tensor }) => [name, at(tensor).data]));
}

function evaluateStep(step: Step, at: (tensor: number) => NumericTensor): void {
  switch (step.kind) {
    case "operation": {
      const operation = operationNamed(step.operation);
      operation.evaluate(step.inputs.map(at), at(step.output), step.attributes);
      return;
    }
    case "split": {
      let start = 0;
      for (const output of step.outputs) {
        const { data } = at(output);
        data.set(at(step.input).data.subarray(start, start + data.length));
        start += data.length;
      }
      return;
    }
    case "concat": {
      let start = 0;
      for (const input of step.inputs) {
        at(step.output).data.set(at(input).data, start);
        start += at(input).data.length;
      }
      return;
    }
    default:
      unreachable(step);
  }
}

export function referenceEngine(precision: Precision): Engine {
  return {
    name: `reference ${precision}`,
    prepare: (program) =>
      Promise.resolve({
        async run(inputs, outputs) {
          const fed = Object.fromEntries(program.inputs.map((port) => [port.name, arrayFor(port, inputs)]));
          const wanted = program.outputs.map((port) => [port.name, arrayFor(port, outputs)] as const);
          const results = evaluateProgram(program, fed, precision);
          for (const [name, array] of wanted) array.set(results[name] as Numbers);
        },
        close: () => Promise.resolve(),
      }),
  };
}
