/**
 * The programs that a compute thread runs, each loaded when it is first needed: for one shape of subtree, whole or in stages, with
 * buffers of its own for what it is fed, and views of parameters and sums where they lie in shared memory.
 */
import type { Dataset } from "../data/dataset.ts";
import { emptyTargets } from "../data/target.ts";
import type { Engine, Inputs, Outputs, PreparedProgram } from "../engine/engine.ts";
import { bucketAt, bucketStarts } from "../gradient/buckets.ts";
import { metricSlot } from "../gradient/partial.ts";
import type { PartialLayouts } from "../gradient/partial.ts";
import { fuse } from "../graph/fuse.ts";
import type { Graph, GraphInput } from "../graph/graph.ts";
import type { Port, Program } from "../graph/program.ts";
import { decodeGraph } from "../graph/serialise.ts";
import { cutIntoStages, inOneStage } from "../graph/stages.ts";
import type { Stage } from "../graph/stages.ts";
import { instantiateKernels } from "../kernels/index.ts";
import type { Kernels } from "../kernels/index.ts";
import { Arena } from "../memory/arena.ts";
import type { Layout } from "../memory/layout.ts";
import { randomStream } from "../random.ts";
import type { RunPlan, WorkKind } from "../protocol/messages.ts";
import { product } from "../shape.ts";
import type { ComputeTask } from "./task.ts";

/** A layer's masks lie this far apart in the random stream: more than the values of any batch. */
const MASK_STRIDE = 2 ** 40;

/** More bytes than this stages may not leave for one another: a program that would is run whole, which changes no bit. */
const MOST_BETWEEN = 2 ** 30;

/** A part of a program, or all of it. */
interface LoadedStage extends Pick<Stage, "needs" | "completes"> {
  readonly prepared: PreparedProgram;
}

export interface Loaded {
  readonly stages: readonly LoadedStage[];
  readonly features: Float32Array;
  /** Copies these samples into the inputs. */
  readonly gather: (dataset: Dataset, indices: Uint32Array) => void;
  readonly indices: Uint32Array;
  /** Fills the dropout masks of a step for samples from position `first` of the batch on. */
  readonly fillMasks: (step: number, first: number) => void;
  /** What all stages are given, with the parameters at this byte offset. */
  readonly inputs: (parameters: number) => Inputs;
  /** Where all of them leave what they compute, with the sums of each shard in a buffer at one of these offsets. */
  readonly outputs: (buffers: readonly number[]) => Outputs;
}

type Sized = Port<readonly number[]>;

export class Programs {
  readonly #plan: RunPlan;
  readonly #layouts: PartialLayouts;
  readonly #memory: WebAssembly.Memory;
  readonly #engine: Engine;
  readonly #graphs: Readonly<Record<WorkKind, Graph>>;
  /** Where in a partial each output of a graph lies. */
  readonly #slots: ReadonlyMap<string, string>;
  readonly #loaded = new Map<string, Promise<Loaded>>();

  constructor(plan: RunPlan, layouts: PartialLayouts, memory: WebAssembly.Memory, engine: Engine) {
    this.#plan = plan;
    this.#layouts = layouts;
    this.#memory = memory;
    this.#engine = engine;
    this.#graphs = { train: decodeGraph(plan.train), evaluate: decodeGraph(plan.evaluate) };
    const metrics = [...plan.metrics, ...plan.evaluated.map(({ name }) => name)];
    this.#slots = new Map([
      ...plan.parameters.map(({ name }) => [`gradient:${name}`, name] as const),
      ...metrics.map((name) => [`metric:${name}`, metricSlot(name)] as const),
    ]);
  }

  of({ kind, sizes, inStages = false }: ComputeTask): Promise<Loaded> {
    const key = `${kind} ${inStages} ${sizes.join(" ")}`;
    let loaded = this.#loaded.get(key);
    if (loaded === undefined) {
      loaded = this.#load(kind, sizes, inStages);
      this.#loaded.set(key, loaded);
    }
    return loaded;
  }

  async #load(kind: WorkKind, sizes: readonly number[], inStages: boolean): Promise<Loaded> {
    const graph = this.#graphs[kind];
    const program = fuse(graph, sizes);
    const stages = inStages ? this.#stagesOf(graph, program) : this.#whole(program);
    const rows = sizes.reduce((sum, size) => sum + size, 0);
    const own = program.inputs.filter(({ name }) => purposeOf(graph, name).kind !== "parameter");
    const between = leftBetween(stages, program);
    // Features and as many bytes again, where they are stored as such.
    const arena = new Arena(own.reduce((bytes, { shape }) => bytes + 5 * product(shape) + 128, 64 + bytesOf(between)));
    const kernels = instantiateKernels(arena.memory);
    const [fixed, left] = [placed(arena, own), placed(arena, between)];
    const masks = own.flatMap(({ name }) => {
      const purpose = purposeOf(graph, name);
      const { byteOffset: offset, length: count } = fixed[name]!;
      return purpose.kind === "mask" ? [{ offset, count, rate: purpose.rate, layer: purpose.layer }] : [];
    });
    const features = fixed["features"] as Float32Array;
    const outputs = this.#outputsOf(kind, program);
    return {
      stages: await Promise.all(
        stages.map(async ({ program: part, needs, completes }) => ({
          needs,
          completes,
          prepared: await this.#engine.prepare(part),
        })),
      ),
      indices: new Uint32Array(rows),
      features,
      gather: gatherInto(arena, kernels, features, fixed["targets"]),
      fillMasks: (step, first) => {
        if (masks.length === 0) return;
        const { key } = randomStream(this.#plan.seed, "dropout", step);
        for (const { offset, count, rate, layer } of masks) {
          kernels.dropoutMask(offset, count, key, layer * MASK_STRIDE + first * (count / rows), rate);
        }
      },
      inputs: memoised((parameters) => ({ ...fixed, ...left, ...this.#parameterViews(graph, parameters) })),
      outputs: (buffers) => ({ ...left, ...outputs(buffers) }),
    };
  }

  #whole(program: Program): readonly Stage[] {
    return [inOneStage(program, bucketStarts(this.#layouts.parameters).length)];
  }

  #stagesOf(graph: Graph, program: Program): readonly Stage[] {
    const { parameters, partial } = this.#layouts;
    const starts = bucketStarts(parameters);
    const bucketIn = ({ slots }: Layout, wanted: string): number =>
      bucketAt(starts, slots.find(({ name }) => name === wanted)!.offset);
    const stages = cutIntoStages(program, {
      count: starts.length,
      ofInput: (name) => {
        const purpose = purposeOf(graph, name);
        return purpose.kind === "parameter" ? bucketIn(parameters, purpose.parameter) : undefined;
      },
      ofOutput: (output) => bucketIn(partial.train, this.#slots.get(output)!),
    });
    return bytesOf(leftBetween(stages, program)) > MOST_BETWEEN ? this.#whole(program) : stages;
  }

  #views(layout: Layout, base: number): Map<string, Float32Array> {
    const { buffer } = this.#memory;
    return new Map(
      layout.slots.map(({ name, offset, length }) => [name, new Float32Array(buffer, base + 4 * offset, length)]),
    );
  }

  #parameterViews(graph: Graph, base: number): Record<string, Float32Array> {
    const slots = this.#views(this.#layouts.parameters, base);
    return Object.fromEntries(
      graph.inputs.flatMap((input) => (input.kind === "parameter" ? [[input.name, slots.get(input.parameter)!]] : [])),
    );
  }

  /** The places of a program's outputs: each shard's terms in a buffer of its own, which is laid out as the sum is. */
  #outputsOf(kind: WorkKind, { outputs }: Program): (buffers: readonly number[]) => Record<string, Float32Array> {
    const shards = Math.max(...outputs.map(({ shard }) => shard)) + 1;
    const ofShard = Array.from({ length: shards }, (_, shard) => {
      const terms = outputs.filter((term) => term.shard === shard);
      return memoised((buffer) => {
        const views = this.#views(this.#layouts.partial[kind], buffer);
        return Object.fromEntries(terms.map(({ name, output }) => [name, views.get(this.#slots.get(output)!)!]));
      });
    });
    return (buffers) => Object.assign({}, ...ofShard.map((viewsOf, shard) => viewsOf(buffers[shard]!)));
  }
}

/** What stages leave for one another. */
function leftBetween(stages: readonly Stage[], { inputs }: Program): readonly Sized[] {
  const given = new Set(inputs.map(({ tensor }) => tensor));
  const ports = stages.flatMap(({ program }) => program.inputs.filter(({ tensor }) => !given.has(tensor)));
  return [...new Map(ports.map((port) => [port.name, port])).values()];
}

/** What they take of an arena. */
const bytesOf = (ports: readonly Sized[]): number =>
  ports.reduce((bytes, { shape }) => bytes + Math.ceil((4 * product(shape)) / 64) * 64, 0);

/** Room in an arena for each of these, by its name. */
const placed = (arena: Arena, ports: readonly Sized[]): Record<string, Float32Array | Int32Array> =>
  Object.fromEntries(
    ports.map(({ name, dtype, shape }) => {
      const count = product(shape);
      const offset = arena.allocate(4 * count);
      const isWhole = dtype === "int32";
      return [name, isWhole ? new Int32Array(arena.memory.buffer, offset, count) : arena.floats(offset, count)];
    }),
  );

/**
 * Bytes are copied as they are and made floats by a kernel. A loss of one's own need not look at the targets, which samples have all
 * the same.
 */
function gatherInto(
  arena: Arena,
  kernels: Kernels,
  features: Float32Array,
  wanted: Int32Array | Float32Array | undefined,
): Loaded["gather"] {
  const stage = arena.allocate(features.length);
  const bytes = arena.bytes(stage, features.length);
  let targets = wanted;
  return (dataset, indices) => {
    targets ??= emptyTargets(dataset.target, indices.length);
    if (dataset.stored === "float32") {
      dataset.rows(indices, features, targets);
      return;
    }
    dataset.rows(indices, bytes, targets);
    kernels.bytesToUnits(features.byteOffset, stage, features.length);
  };
}

const purposeOf = (graph: Graph, name: string): GraphInput => graph.inputs.find((input) => input.name === name)!;

/** The engine keeps what it derived from an array, so the same offset must give the same views. */
function memoised<Views>(make: (offset: number) => Views): (offset: number) => Views {
  const made = new Map<number, Views>();
  return (offset) => {
    let views = made.get(offset);
    if (views === undefined) {
      views = make(offset);
      made.set(offset, views);
    }
    return views;
  };
}
