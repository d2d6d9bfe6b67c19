/**
 * What a compute thread does: gathers the samples of a subtree, runs the fused program of its shape on the parameters in
 * shared memory, and leaves the sums in shared memory. The engine blocks its thread and no other; a thread inside it is
 * never terminated (the process would abort), so stale tasks simply finish.
 */
import { threadId } from "node:worker_threads";
import { hostMicroseconds } from "../clock.ts";
import { Augmenter, type AugmentSpec } from "../data/augment.ts";
import { datasetFrom } from "../data/dataset.ts";
import type { Dataset } from "../data/dataset.ts";
import type { Engine, PreparedProgram } from "../engine/engine.ts";
import { addAlongTree, addAndCheck } from "../gradient/add.ts";
import { metricSlot, partialLayouts, vectorBytes } from "../gradient/partial.ts";
import type { PartialLayouts } from "../gradient/partial.ts";
import { fuse } from "../graph/fuse.ts";
import type { Program } from "../graph/program.ts";
import type { Graph, GraphInput } from "../graph/graph.ts";
import { decodeGraph } from "../graph/serialise.ts";
import { instantiateKernels } from "../kernels/index.ts";
import type { Kernels } from "../kernels/index.ts";
import { Arena } from "../memory/arena.ts";
import type { Layout } from "../memory/layout.ts";
import { Signal } from "../memory/signal.ts";
import { permutation, randomStream } from "../random.ts";
import type { EngineCall, RunPlan, WorkKind } from "../protocol/messages.ts";
import { Announcer } from "./announcer.ts";
import { goesOn, readiness } from "./task.ts";
import type { ComputeResult, ComputeTask, ThreadSetup } from "./task.ts";

/** A layer's masks lie this far apart in the random stream: more than the values of any batch. */
const MASK_STRIDE = 2 ** 40;

/** A program for one shape of subtree, with its own input buffers in a small arena of this thread. */
interface Loaded {
  readonly prepared: PreparedProgram;
  readonly features: Float32Array;
  /** Copies these samples into the inputs. */
  readonly gather: (dataset: Dataset, indices: Uint32Array) => void;
  readonly indices: Uint32Array;
  /** Fills the dropout masks of a step for samples from position `first` of the batch on. */
  readonly fillMasks: (step: number, first: number) => void;
  readonly inputs: (parameters: number) => Record<string, Float32Array | Int32Array>;
  readonly outputs: (buffers: readonly number[]) => Record<string, Float32Array>;
}

/** A thread that waits for parameters looks up this often, in milliseconds, should it have missed that it is to stop. */
const LONGEST_WAIT = 20;

/** And first spins for so long: most parameters come sooner. */
const SPIN = 4;

export class TaskRunner {
  readonly #threads: number;
  readonly #plan: RunPlan;
  readonly #memory: WebAssembly.Memory;
  readonly #kernels: Kernels;
  readonly #engine: Engine;
  readonly #announcer = new Announcer();
  readonly #layouts: PartialLayouts;
  readonly #graphs: Readonly<Record<WorkKind, Graph>>;
  readonly #data: Readonly<Record<WorkKind, Dataset | undefined>>;
  readonly #augmenter: Augmenter | undefined;
  readonly #programs = new Map<string, Promise<Loaded>>();
  /** The order of an epoch's samples; one epoch is kept, since steps come in order. */
  #order: { readonly epoch: number; readonly at: (index: number) => number } | undefined;

  readonly #arrivals: Signal;
  readonly #interrupts: Int32Array;
  /** One series at a time; the next is handed out before, so that the thread need not wait for the main thread. */
  #last: Promise<unknown> = Promise.resolve();

  constructor({ threads, plan, memory, arrivals, interrupts, train, test }: ThreadSetup, engine: Engine) {
    this.#threads = threads;
    this.#plan = plan;
    this.#memory = memory;
    this.#kernels = instantiateKernels(memory);
    this.#engine = engine;
    this.#arrivals = new Signal(memory, arrivals);
    this.#interrupts = new Int32Array(memory.buffer, interrupts, 1);
    this.#layouts = partialLayouts(plan.parameters, plan.metrics, plan.evaluated);
    this.#graphs = { train: decodeGraph(plan.train), evaluate: decodeGraph(plan.evaluate) };
    const augment = plan.augment as readonly AugmentSpec[];
    this.#augmenter = augment.length === 0 ? undefined : new Augmenter(augment, plan.seed, train.sampleShape);
    this.#data = { train: datasetFrom(train), evaluate: test === undefined ? undefined : datasetFrom(test) };
  }

  /** Computes one subtree after the other, as `Threads` says. */
  run(tasks: readonly ComputeTask[]): Promise<ComputeResult[]> {
    const results = this.#last.then(() => this.#computeAll(tasks));
    this.#last = results.catch(() => {});
    return results;
  }

  async #computeAll(tasks: readonly ComputeTask[]): Promise<ComputeResult[]> {
    const results: ComputeResult[] = [];
    for (const task of tasks) {
      const result = await this.#compute(task);
      results.push(result);
      if (!goesOn(result)) break;
    }
    return results;
  }

  /** The minibatch is gathered while its parameters may still be on their way. */
  async #compute(task: ComputeTask): Promise<ComputeResult> {
    const begun = hostMicroseconds();
    const loaded = await this.#programFor(task);
    this.#gather(task, loaded);
    loaded.fillMasks(task.step, task.first);
    const gathered = hostMicroseconds();
    const found = this.#await(task);
    if (found !== "ready") return found;
    const resumed = hostMicroseconds();
    await loaded.prepared.run(loaded.inputs(task.parameters), loaded.outputs(task.outputs));
    const checksum = this.#addUp(task);
    const computed = hostMicroseconds();
    const microseconds = gathered - begun + (computed - resumed);
    const call = this.#plan.trace ? ([threadId, begun, gathered, resumed, computed] as const) : undefined;
    return { milliseconds: microseconds / 1000, announced: this.#announce(task, checksum, microseconds, call), call };
  }

  /** Adds the shards' sums up. Returns the checksum of an announced sum; over a socket each segment gets one of its own. */
  #addUp({ kind, outputs, announcement }: ComputeTask): number | undefined {
    const bytes = vectorBytes(this.#layouts.partial[kind]);
    if (announcement !== undefined) return addAndCheck(this.#kernels, outputs, bytes);
    addAlongTree(this.#kernels, outputs, bytes);
    return undefined;
  }

  /** Gives back what the system lent. */
  close(): void {
    this.#announcer.close();
  }

  #announce(
    { announcement }: ComputeTask,
    checksum: number | undefined,
    microseconds: number,
    call: EngineCall | undefined,
  ): boolean {
    if (announcement === undefined || checksum === undefined) return false;
    return this.#announcer.announce(announcement, {
      checksum,
      computeMicroseconds: Math.round(microseconds / this.#threads),
      ...(call && { timing: { sent: hostMicroseconds(), calls: [call] } }),
    });
  }

  /** Blocks until the parameters of a task are here, or the thread has something better to do. */
  #await(task: ComputeTask): Exclude<ReturnType<typeof readiness>, "waiting"> {
    for (let waited = false; ; waited = true) {
      const seen = this.#arrivals.value;
      const found = readiness(task, seen, Atomics.load(this.#interrupts, 0));
      if (found !== "waiting") return found;
      if (waited) this.#arrivals.wait(seen, LONGEST_WAIT);
      else this.#arrivals.spin(seen, SPIN);
    }
  }

  #programFor(task: ComputeTask): Promise<Loaded> {
    const key = `${task.kind} ${task.sizes.join(" ")}`;
    let loaded = this.#programs.get(key);
    if (loaded === undefined) {
      loaded = this.#load(task.kind, task.sizes);
      this.#programs.set(key, loaded);
    }
    return loaded;
  }

  async #load(kind: WorkKind, sizes: readonly number[]): Promise<Loaded> {
    const graph = this.#graphs[kind];
    const program = fuse(graph, sizes);
    const rows = sizes.reduce((sum, size) => sum + size, 0);
    const floatsOf = (shape: readonly number[]): number => shape.reduce((product, length) => product * length, 1);
    const own = program.inputs.filter(({ name }) => purposeOf(graph, name).kind !== "parameter");
    // Features and as many bytes again, where they are stored as such.
    const arena = new Arena(own.reduce((bytes, { shape }) => bytes + 5 * floatsOf(shape) + 128, 64));
    const kernels = instantiateKernels(arena.memory);
    const fixed: Record<string, Float32Array | Int32Array> = {};
    const masks: { offset: number; count: number; rate: number; layer: number }[] = [];
    for (const { name, dtype, shape } of own) {
      const count = floatsOf(shape);
      const offset = arena.allocate(4 * count);
      fixed[name] =
        dtype === "int32" ? new Int32Array(arena.memory.buffer, offset, count) : arena.floats(offset, count);
      const purpose = purposeOf(graph, name);
      if (purpose.kind === "mask") masks.push({ offset, count, rate: purpose.rate, layer: purpose.layer });
    }
    const features = fixed["features"] as Float32Array;
    return {
      prepared: await this.#engine.prepare(program),
      indices: new Uint32Array(rows),
      features,
      gather: gatherInto(arena, kernels, features, fixed["targets"]!),
      fillMasks: (step, first) => {
        if (masks.length === 0) return;
        const { key } = randomStream(this.#plan.seed, "dropout", step);
        for (const { offset, count, rate, layer } of masks) {
          kernels.dropoutMask(offset, count, key, layer * MASK_STRIDE + first * (count / rows), rate);
        }
      },
      inputs: memoised((parameters) => ({ ...fixed, ...this.#parameterViews(graph, parameters) })),
      outputs: this.#outputsOf(kind, program),
    };
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
  #outputsOf(kind: WorkKind, { outputs }: Program): Loaded["outputs"] {
    const { metrics, evaluated, parameters } = this.#plan;
    const slots = new Map<string, string>([
      ...parameters.map(({ name }) => [`gradient:${name}`, name] as const),
      ...[...metrics, ...evaluated.map(({ name }) => name)].map(
        (name) => [`metric:${name}`, metricSlot(name)] as const,
      ),
    ]);
    const shards = Math.max(...outputs.map(({ shard }) => shard)) + 1;
    const ofShard = Array.from({ length: shards }, (_, shard) => {
      const terms = outputs.filter((term) => term.shard === shard);
      return memoised((buffer) => {
        const views = this.#views(this.#layouts.partial[kind], buffer);
        return Object.fromEntries(terms.map(({ name, output }) => [name, views.get(slots.get(output)!)!]));
      });
    });
    return (buffers) => Object.assign({}, ...ofShard.map((viewsOf, shard) => viewsOf(buffers[shard]!)));
  }

  #gather({ kind, epoch, offset, first }: ComputeTask, { indices, gather, features }: Loaded): void {
    const dataset = this.#data[kind]!;
    const start = offset + first;
    if (kind === "train") {
      if (this.#order?.epoch !== epoch) {
        this.#order = { epoch, at: permutation(this.#plan.seed, epoch, dataset.length) };
      }
      for (let row = 0; row < indices.length; row++) indices[row] = this.#order.at(start + row);
    } else {
      for (let row = 0; row < indices.length; row++) indices[row] = start + row;
    }
    gather(dataset, indices);
    if (kind === "train" && this.#augmenter !== undefined) {
      const width = features.length / indices.length;
      for (let row = 0; row < indices.length; row++)
        this.#augmenter.apply(features.subarray(row * width, (row + 1) * width), epoch, indices[row]!);
    }
  }
}

/** Bytes are copied as they are and made floats by a kernel. */
function gatherInto(
  arena: Arena,
  kernels: Kernels,
  features: Float32Array,
  targets: Int32Array | Float32Array,
): Loaded["gather"] {
  const stage = arena.allocate(features.length);
  const bytes = arena.bytes(stage, features.length);
  return (dataset, indices) => {
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
