/**
 * Runs a trained network's graphs in this process: over the test data, in the chunks and along the tree of a run's own
 * evaluations, so that the figures are the same to the last bit; and over single samples.
 */
import { setImmediate } from "node:timers/promises";
import type { Dataset } from "../../shared/data/dataset.ts";
import { emptyTargets } from "../../shared/data/target.ts";
import { alignment } from "../../shared/engine/engine.ts";
import { onnxRuntimeEngine } from "../../shared/engine/onnxruntime.ts";
import { childrenOf, type TreeNode } from "../../shared/gradient/tree.ts";
import { fuse } from "../../shared/graph/fuse.ts";
import type { Graph } from "../../shared/graph/graph.ts";
import { Arena } from "../../shared/memory/arena.ts";
import { slotView } from "../../shared/memory/layout.ts";
import { figuresOf, type Figures } from "../../shared/nn/metrics.ts";
import { product } from "../../shared/shape.ts";
import { EVALUATION_CHUNK, evaluationShards } from "../core/epochs.ts";
import { checkSample } from "../model/check-lookups.ts";
import { measuredBy } from "../model/model.ts";
import { testDataOf, type TrainedRun } from "./trained.ts";

export interface Evaluated {
  readonly samples: number;
  /** Mean over the samples. */
  readonly testLoss: number;
  /** 0 to 1; undefined for real values as targets. */
  readonly testAccuracy: number | undefined;
  /** The config's other metrics, by name. */
  readonly testFigures: Figures;
}

/**
 * Evaluates on the run's test data unless told on what. Throws DATA_MISMATCH where it is not what it was, DATA_MISSING where there is
 * none.
 */
export async function evaluate(trained: TrainedRun, test: Dataset = testDataOf(trained)): Promise<Evaluated> {
  const { metrics, evaluated } = trained.model;
  const named = [...metrics, ...evaluated.map(({ name }) => name)];
  const { sizes, starts } = evaluationShards(test.length, EVALUATION_CHUNK);
  const programs = new Map<number, Loaded>();
  const sums: Record<string, number[]>[] = [];
  for (const [chunk, size] of sizes.entries()) {
    // The engine computes on this thread, where a coordinator also answers who asks whether it is alive, and hears Ctrl-C.
    if (chunk > 0) await setImmediate();
    const program = programs.get(size) ?? (await load(trained, trained.model.evaluate, size));
    programs.set(size, program);
    const indices = Uint32Array.from({ length: size }, (_, row) => starts[chunk]! + row);
    test.batch(indices, program.features, program.targets);
    await program.run();
    sums.push(Object.fromEntries(named.map((metric) => [metric, [...program.outputs[`metric:${metric}`]!]])));
  }
  for (const program of programs.values()) await program.close();
  const total = (metric: string): number[] =>
    sums[0]![metric]!.map((_, at) => treeSum(sums.map((sum) => sum[metric]![at]!)));
  const mean = (metric: string): number => total(metric)[0]! / test.length;
  const totals = Object.fromEntries(evaluated.map(({ name }) => [name, total(name)]));
  const wanted = measuredBy(trained.model, trained.config, test);
  return {
    samples: test.length,
    testLoss: mean("loss"),
    testAccuracy: metrics.includes("correct") ? mean("correct") : undefined,
    testFigures: figuresOf(wanted, test.target, totals, test.length),
  };
}

/**
 * The network's answer to one sample: probabilities, or the outputs themselves for real values. Throws DATA_INVALID for numbers that
 * it cannot look up; `path` is what the error calls the sample.
 */
export async function predict(
  trained: Parametrised & Pick<TrainedRun, "model">,
  sample: Float32Array,
  path: string,
): Promise<Answer> {
  checkSample(trained.model.predict, path, sample);
  return answerOf(trained.model.predict, trained, sample);
}

export interface Answer {
  readonly output: string;
  readonly values: Float32Array;
}

/** What a graph needs to be run: the values of its parameters, and what kind of targets it takes. */
export type Parametrised = Pick<TrainedRun, "layout" | "parameters"> & {
  readonly data: { readonly train: Pick<Dataset, "target"> };
};

/** The answer of a predicting graph to one sample. */
export async function answerOf(graph: Graph, parametrised: Parametrised, sample: Float32Array): Promise<Answer> {
  const program = await load(parametrised, graph, 1);
  program.features.set(sample);
  await program.run();
  await program.close();
  const [output, values] = Object.entries(program.outputs)[0]!;
  return { output, values };
}

interface Loaded {
  readonly features: Float32Array;
  /** Of as many samples; the graph need not take them. */
  readonly targets: Float32Array | Int32Array;
  readonly outputs: Readonly<Record<string, Float32Array>>;
  run(): Promise<void>;
  close(): Promise<void>;
}

/** A graph's program for `rows` samples with its buffers; the parameters are in theirs. */
async function load({ layout, parameters, data }: Parametrised, graph: Graph, rows: number): Promise<Loaded> {
  const program = fuse(graph, [rows]);
  const prepared = await onnxRuntimeEngine().prepare(program);
  const ports = [...program.inputs, ...program.outputs];
  const arena = new Arena(ports.reduce((bytes, { shape }) => bytes + 4 * product(shape) + alignment, 0));
  const buffers = new Map(
    ports.map(({ name, shape }) => [name, arena.floats(arena.allocate(4 * product(shape)), product(shape))]),
  );
  const features = buffers.get("features")!;
  const { target } = data.train;
  const wanted = buffers.get("targets");
  const targets =
    wanted === undefined
      ? emptyTargets(target, rows)
      : target.kind === "class"
        ? new Int32Array(wanted.buffer, wanted.byteOffset, wanted.length)
        : wanted;
  const inputs: Record<string, Float32Array | Int32Array> = { features, targets };
  for (const input of graph.inputs) {
    if (input.kind !== "parameter") continue;
    const buffer = buffers.get(input.name)!;
    buffer.set(slotView(layout, input.parameter, parameters));
    inputs[input.name] = buffer;
  }
  const outputs = Object.fromEntries(program.outputs.map(({ name }) => [name, buffers.get(name)!]));
  return { features, targets, outputs, run: () => prepared.run(inputs, outputs), close: () => prepared.close() };
}

/** The sum along the canonical tree, every addition rounded to float32. */
export function treeSum(values: readonly number[]): number {
  const sumOf = (node: TreeNode): number => {
    const children = childrenOf(node);
    if (children === undefined) return values[node.start]!;
    return Math.fround(sumOf(children[0]) + sumOf(children[1]));
  };
  return sumOf({ start: 0, end: values.length });
}
