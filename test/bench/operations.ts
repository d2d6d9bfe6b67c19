/**
 * Each operation's forward and backward pass against the bare operation, both on the engine and one thread: how far Lockstep's
 * ONNX form of it, and of its derivative, are from what the engine does at its best.
 */
import { table } from "../../coordinator/cli/table.ts";
import type { PreparedProgram } from "../../shared/engine/engine.ts";
import { onnxRuntimeEngine, Session } from "../../shared/engine/onnxruntime.ts";
import { onnxRuntime } from "../../shared/engine/ort-api.ts";
import { gradientsOf } from "../../shared/graph/autodiff.ts";
import { fuse } from "../../shared/graph/fuse.ts";
import type { Graph } from "../../shared/graph/graph.ts";
import type { Tensor } from "../../shared/graph/operation.ts";
import { multiply } from "../../shared/graph/operations/arithmetic.ts";
import { sum } from "../../shared/graph/operations/broadcast.ts";
import type { Program } from "../../shared/graph/program.ts";
import { onnxFile } from "../support/onnx-file.ts";
import { Sources } from "../support/operations.ts";
import { type Arrays, arraysFor, someNumbers } from "../support/programs.ts";
import type { Benchmark } from "./benchmark.ts";
import { alternate, shown, spread, type Spread } from "./measure.ts";
import { type Case, cases } from "./operations/cases.ts";

/** How long one of a round's timings takes: short enough to alternate, long enough for the clock. */
const MILLISECONDS = 20;
/** What the convolution's weight gradient may take, as a multiple of its forward pass. */
const AIM = 1.5;

/** A program with its arrays filled; a call runs it once. */
interface Ready {
  readonly run: () => Promise<void>;
  readonly close: () => Promise<void>;
}

function ready(
  prepared: PreparedProgram,
  { inputs, outputs }: Pick<Program, "inputs" | "outputs">,
  tokensBelow = 0,
): Ready {
  const given = arraysFor(inputs);
  inputs.forEach(({ name }, place) => {
    const array = given[name]!;
    const isTokens = tokensBelow > 0 && name === "input1";
    array.set(
      someNumbers(array.length, place + 1).map((value) =>
        isTokens ? Math.floor((tokensBelow * (value + 1)) / 2.001) : value,
      ),
    );
  });
  const made: Arrays = arraysFor(outputs);
  return { run: () => prepared.run(given, made), close: () => prepared.close() };
}

/** The output alone; or, for an upstream gradient that is given, the gradients of these operands. */
function graphOf({ output }: Case, of?: (operands: readonly Tensor[]) => readonly Tensor[]): Graph {
  const from = new Sources();
  const y = output(from);
  if (of === undefined) return from.builder.build({ output: y });
  const upstream = from.builder.input("upstream", { kind: "parameter", parameter: "upstream" }, y.shape);
  const total = sum(
    multiply(y, upstream),
    y.shape.map((_, axis) => axis),
  );
  const gradients = gradientsOf(from.builder, total, of(from.made));
  return from.builder.build(Object.fromEntries(gradients.map((gradient, place) => [`gradient${place}`, gradient])));
}

const engine = onnxRuntimeEngine();

async function compiled(graph: Graph, { samples, tokensBelow }: Case): Promise<Ready> {
  const program = fuse(graph, [samples]);
  return ready(await engine.prepare(program), program, tokensBelow);
}

function bare(each: Case): Ready {
  const program = fuse(graphOf(each), [each.samples]);
  const inputs = Object.fromEntries(program.inputs.map(({ name, shape }) => [name, shape]));
  const bytes = onnxFile({ nodes: each.bare, inputs, outputs: ["output"], operatorSet: 20 });
  return ready(new Session(onnxRuntime(), bytes, program), program, each.tokensBelow);
}

/** This thread's processor time so far, in microseconds: what else the machine does is not in it. */
function processorTime(): number {
  const { user, system } = process.threadCpuUsage();
  return user + system;
}

/** Microseconds a call. */
async function timed({ run }: Ready): Promise<number> {
  await run();
  const start = processorTime();
  let calls = 0;
  do {
    await run();
    calls += 1;
  } while (processorTime() - start < 1000 * MILLISECONDS);
  return (processorTime() - start) / calls;
}

interface Row {
  readonly operation: string;
  readonly samples: number;
  /** Microseconds a call. */
  readonly bare: Spread;
  /** As multiples of the bare operation. */
  readonly forward: Spread;
  readonly backward: Spread;
  /** A convolution's, as a multiple of its forward pass. */
  readonly weightGradient?: Spread;
}

const ratios = (ones: readonly number[], others: readonly number[]): Spread =>
  spread(ones.map((one, round) => one / others[round]!));

async function measure(each: Case, rounds: number): Promise<Row> {
  const { title, samples, weights, tokensBelow } = each;
  const trained = (operands: readonly Tensor[]): readonly Tensor[] =>
    tokensBelow === undefined ? operands : operands.slice(0, 1);
  const contenders = {
    bare: bare(each),
    forward: await compiled(graphOf(each), each),
    backward: await compiled(graphOf(each, trained), each),
    ...(weights === undefined
      ? {}
      : {
          weightGradient: await compiled(
            graphOf(each, (all) => [all[weights]!]),
            each,
          ),
        }),
  };
  const times = await alternate(
    title,
    rounds,
    Object.fromEntries(Object.entries(contenders).map(([name, contender]) => [name, () => timed(contender)])),
  );
  for (const contender of Object.values(contenders)) await contender.close();
  return {
    operation: title,
    samples,
    bare: spread(times["bare"]!),
    forward: ratios(times["forward"]!, times["bare"]!),
    backward: ratios(times["backward"]!, times["bare"]!),
    ...(weights === undefined ? {} : { weightGradient: ratios(times["weightGradient"]!, times["forward"]!) }),
  };
}

export const operations: Benchmark = {
  about: "each operation's forward and backward pass against the bare operation in onnxruntime",
  workloads: [],
  async run({ rounds }) {
    const results: Row[] = [];
    for (const each of cases) results.push(await measure(each, rounds));
    const rows = results.map(({ operation, samples, bare: alone, forward, backward, weightGradient }) => [
      operation,
      `${samples}`,
      shown(alone, 1),
      shown(forward),
      shown(backward),
      weightGradient === undefined ? "" : shown(weightGradient),
    ]);
    const header = [
      "operation",
      "samples",
      "bare, µs",
      "forward / bare",
      "backward / bare",
      "weight gradient / forward",
    ];
    console.log(table([header, ...rows]));
    const gradients = results.flatMap(({ weightGradient }) => weightGradient ?? []);
    const worst = Math.max(...gradients.map(({ median }) => median));
    console.log(
      `\nA convolution's weight gradient takes at most ${worst.toFixed(2)} times its forward pass; the aim is ${AIM} or less.`,
    );
    return { results };
  },
};
