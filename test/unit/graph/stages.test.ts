/**
 * Programs in stages: the bits are those of the whole program, on the real engine, whatever parameters are still missing while a
 * stage runs that does not need them, and whatever is overwritten that was complete.
 */
import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import type { Engine } from "../../../shared/engine/engine.ts";
import { fuse } from "../../../shared/graph/fuse.ts";
import type { Graph } from "../../../shared/graph/graph.ts";
import { add, multiply } from "../../../shared/graph/operations/arithmetic.ts";
import { sumSamples } from "../../../shared/graph/operations/broadcast.ts";
import { relu } from "../../../shared/graph/operations/elementwise.ts";
import type { Program } from "../../../shared/graph/program.ts";
import { cutIntoStages } from "../../../shared/graph/stages.ts";
import type { Buckets } from "../../../shared/graph/stages.ts";
import { compileModel } from "../../../shared/nn/model.ts";
import { numbersFor, onEngines } from "../../support/networks.ts";
import { Sources } from "../../support/operations.ts";
import { arraysFor } from "../../support/programs.ts";

/** The parameters of a graph, in its order, in so many buckets. */
function bucketsOf({ inputs }: Graph, most: number): Buckets {
  const parameters = inputs.flatMap((input) => (input.kind === "parameter" ? [input] : []));
  const count = Math.min(most, parameters.length);
  const bucketAt = (place: number): number => Math.floor((place * count) / parameters.length);
  return {
    count,
    ofInput: (name) => {
      const place = parameters.findIndex((each) => each.name === name);
      return place === -1 ? undefined : bucketAt(place);
    },
    ofOutput: (output) => {
      const place = parameters.findIndex(({ parameter }) => output === `gradient:${parameter}`);
      return place === -1 ? count - 1 : bucketAt(place);
    },
  };
}

/** The SHA-256 of an array's bytes: arrays that differ are long to compare. */
const bitsOf = (array: Float32Array | Int32Array): string =>
  createHash("sha256").update(new Uint8Array(array.slice().buffer)).digest("hex");

/** Runs the stages one after the other. Returns the bits of all outputs, each taken as soon as it is said to be complete. */
async function runInStages(
  engine: Engine,
  program: Program,
  buckets: Buckets,
  numbers: Readonly<Record<string, ArrayLike<number>>>,
): Promise<Record<string, string>> {
  const stages = cutIntoStages(program, buckets);
  const ports = [program, ...stages.map((stage) => stage.program)].flatMap(({ inputs, outputs }) => [
    ...inputs,
    ...outputs,
  ]);
  const arrays = arraysFor([...new Map(ports.map((port) => [port.name, port])).values()]);
  for (const { name } of program.inputs)
    if (buckets.ofInput(name) === undefined) arrays[name]!.set(numbers[name]!);
    else arrays[name]!.fill(Number.NaN);
  const taken: Record<string, string> = {};
  for (const { program: part, needs, completes } of stages) {
    for (const { name } of program.inputs)
      if ((buckets.ofInput(name) ?? buckets.count) < needs) arrays[name]!.set(numbers[name]!);
    const prepared = await engine.prepare(part);
    await prepared.run(arrays, arrays);
    await prepared.close();
    for (const { name, output } of program.outputs) {
      if (buckets.ofOutput(output) < completes || taken[name] !== undefined) continue;
      taken[name] = bitsOf(arrays[name]!);
      // It may be added to others from here on.
      arrays[name]!.fill(Number.NaN);
    }
  }
  return taken;
}

describe.each(onEngines)("the bits of $engine.name", ({ engine, over }) => {
  test.each(over)("%s", async (_name, spec) => {
    const { train } = compileModel(spec);
    const numbers = numbersFor(train, 13);
    const program = fuse(train, [5, 4, 4]);
    const whole = await engine.prepare(program);
    const arrays = arraysFor([...program.inputs, ...program.outputs]);
    for (const { name } of program.inputs) arrays[name]!.set(numbers[name]!);
    await whole.run(arrays, arrays);
    await whole.close();
    const wanted = Object.fromEntries(program.outputs.map(({ name }) => [name, bitsOf(arrays[name]!)]));
    for (const most of [1, 2, 4])
      expect(await runInStages(engine, program, bucketsOf(train, most), numbers), `${most} buckets`).toEqual(wanted);
  });
});

const dense = (units: number) => ({ kind: "dense", units, activation: "relu" }) as const;
const threeLayers = compileModel({
  inputShape: [8],
  target: { kind: "class", classes: 4 },
  layers: [dense(16), dense(12), { kind: "dense", units: 4 }],
  loss: { kind: "crossEntropy" },
}).train;

describe("the stages", () => {
  const program = fuse(threeLayers, [4, 4]);
  const stages = cutIntoStages(program, bucketsOf(threeLayers, 3));

  test("go forward as parameters come, and back as gradients are found", () => {
    expect(stages.map(({ needs, completes }) => [needs, completes])).toEqual([
      [1, 3],
      [2, 3],
      [3, 2],
      [3, 1],
      [3, 0],
    ]);
    const gradients = stages.map(({ program: { outputs } }) =>
      outputs.filter(({ name }) => name.startsWith("gradient:")).map(({ output }) => output),
    );
    const of = (layer: number): string[] => [0, 0, 1, 1].map((_, place) => gradientsOf(layer)[place >> 1]!);
    expect(gradients).toEqual([[], [], of(2), of(1), of(0)]);
  });

  test("share the steps out: none is left out or done twice", () => {
    const shared = stages.flatMap((stage) => stage.program.steps);
    expect(new Set(shared).size).toBe(shared.length);
    expect(new Set(shared)).toEqual(new Set(program.steps));
  });

  test("of one bucket are the program", () => {
    const [stage, ...others] = cutIntoStages(program, bucketsOf(threeLayers, 1));
    expect(others).toEqual([]);
    expect(stage).toEqual({ program, needs: 1, completes: 0 });
  });

  const gradientsOf = (layer: number): string[] =>
    program.outputs
      .filter(({ shard, output }) => shard === 0 && output.startsWith("gradient:"))
      .slice(2 * layer, 2 * layer + 2)
      .map(({ output }) => output);
});

describe("a program of other forms", () => {
  const buckets = (total: number): Buckets => ({
    count: 2,
    ofInput: (name) => ({ first: 0, second: 1 })[name],
    ofOutput: (output) => (output === "total" ? total : 1),
  });

  /** early = Σ relu(rows × first), total = Σ (relu(rows × first) + second). */
  function chain(): Program {
    const from = new Sources();
    const [rows, first, second] = [from.rows(3), from.weights(3), from.weights(3)];
    const hidden = relu(multiply(rows, first));
    const program = fuse(
      from.builder.build({ early: sumSamples(hidden), total: sumSamples(add(hidden, second)) }),
      [4],
    );
    const names = ["rows", "first", "second"];
    return { ...program, inputs: program.inputs.map((port, index) => ({ ...port, name: names[index]! })) };
  }

  const outline = (stages: ReturnType<typeof cutIntoStages>): unknown =>
    stages.map(({ needs, completes, program: { inputs, outputs } }) => ({
      needs,
      completes,
      inputs: inputs.map(({ name }) => name),
      outputs: outputs.map(({ name }) => name),
    }));

  test("completes a bucket with parameters that are not yet there, where it needs none of them", () => {
    const [early, total] = cutIntoStages(chain(), buckets(0));
    const between = early!.program.outputs[1]!.name;
    expect(outline([early!, total!])).toEqual([
      { needs: 1, completes: 1, inputs: ["rows", "first"], outputs: ["early", between] },
      { needs: 2, completes: 0, inputs: ["second", between], outputs: ["total"] },
    ]);
  });

  test("names what lies between stages as nothing else is named", () => {
    const program = chain();
    const between = cutIntoStages(program, buckets(1))[0]!.program.outputs[1]!.name;
    expect(between).toMatch(/^between\/\d+$/);
    const [early, total] = program.outputs;
    const taken = { ...program, outputs: [{ ...early!, name: between }, total!] };
    expect(cutIntoStages(taken, buckets(1))[0]!.program.outputs.map(({ name }) => name)).toEqual([
      between,
      `${between}_`,
    ]);
  });

  test("is not cut where an output is an input", () => {
    const program = chain();
    const again = { ...program.inputs[0]!, name: "again", output: "again", shard: 0 };
    const given = { ...program, outputs: [...program.outputs, again] };
    expect(cutIntoStages(given, buckets(1))).toEqual([{ program: given, needs: 2, completes: 0 }]);
  });
});
