/**
 * One program for one node of the canonical tree: a graph is laid out over consecutive shards of the given sizes.
 * Operations whose rows are independent run once over all rows; sums over samples, and operations whose rows are not
 * proven independent, run on every shard alone. So the bits of every shard's sums equal those of one program per shard, and
 * one call does the work of many. Whoever runs it adds them along the canonical tree: a pass over all sums at once is
 * cheaper than an engine's operation for each pair.
 */
import type { Graph, Value } from "./graph.ts";
import { operationNamed } from "./operations/registry.ts";
import type { Program, ProgramTensor, Step, Term } from "./program.ts";
import { bindShape, rowsOf } from "./values.ts";

type Sizes = readonly number[];

/** Where a value lies: as one tensor over all shards, or as one for each shard, or both. */
interface Place {
  whole: number | undefined;
  parts: readonly number[] | undefined;
}

class Fusion {
  readonly tensors: ProgramTensor<Sizes>[] = [];
  readonly steps: Step[] = [];
  readonly #places: Place[] = [];
  /** Values that depend on samples but have no sample dimension: they exist once for each shard. */
  readonly #sums = new Set<number>();
  readonly #graph: Graph;
  readonly #shards: Sizes;
  readonly #samples: number;

  constructor(graph: Graph, shards: Sizes) {
    this.#graph = graph;
    this.#shards = shards;
    this.#samples = shards.reduce((total, size) => total + size, 0);
    graph.values.forEach((value, number) => this.#places.push(this.#place(value, number)));
  }

  #place(value: Value, number: number): Place {
    const single = this.#shards.length === 1;
    const batched = rowsOf(value.shape) !== undefined;
    const fromSums = value.inputs.some((input) => this.#sums.has(input));
    const fromSamples = fromSums || value.inputs.some((input) => this.#rows(input) !== undefined);
    if (!batched && fromSamples) this.#sums.add(number);
    const together = batched ? operationNamed(value.operation).rows === "independent" : !fromSamples;
    if (single || (together && !fromSums)) {
      const inputs = value.inputs.map((input) => this.whole(input));
      const whole = this.#apply(value, inputs, this.#samples);
      return { whole, parts: single ? [whole] : undefined };
    }
    const parts = this.#shards.map((size, shard) => {
      const inputs = value.inputs.map((input) => this.parts(input)[shard] as number);
      return this.#apply(value, inputs, size);
    });
    return { whole: undefined, parts };
  }

  #rows(value: number): number | undefined {
    return rowsOf((this.#graph.values[value] as Value).shape);
  }

  #apply(value: Value, inputs: readonly number[], samples: number): number {
    const output = this.#tensor(value, samples);
    if (value.operation !== "input") {
      this.steps.push({ kind: "operation", operation: value.operation, attributes: value.attributes, inputs, output });
    }
    return output;
  }

  #tensor(value: Value, samples: number): number {
    return this.tensors.push({ shape: bindShape(value.shape, samples), dtype: value.dtype }) - 1;
  }

  /** The value over all shards as one tensor, joined if it isn't yet. */
  whole(value: number): number {
    const place = this.#places[value] as Place;
    if (place.whole === undefined) {
      const output = this.#tensor(this.#graph.values[value] as Value, this.#samples);
      this.steps.push({ kind: "concat", inputs: place.parts as Sizes, output });
      place.whole = output;
    }
    return place.whole;
  }

  /** The value of every shard, split if it isn't yet. What depends on no sample is the same for all. */
  parts(value: number): Sizes {
    const place = this.#places[value] as Place;
    if (place.parts === undefined) {
      const rows = this.#rows(value);
      const whole = place.whole as number;
      if (rows === undefined) place.parts = this.#shards.map(() => whole);
      else {
        const outputs = this.#shards.map((size) => this.#tensor(this.#graph.values[value] as Value, size));
        this.steps.push({ kind: "split", input: whole, sizes: this.#shards.map((size) => size * rows), outputs });
        place.parts = outputs;
      }
    }
    return place.parts;
  }

  /** The value as an output: rows as they are, of a sum what each shard adds to it. */
  output(value: number): Sizes {
    return this.#rows(value) !== undefined ? [this.whole(value)] : this.parts(value);
  }

  input(value: number): number {
    return (this.#places[value] as Place).whole as number;
  }
}

/**
 * The program that runs `graph` over consecutive shards of these sizes, a node of the canonical tree. Of an output without a
 * sample dimension, a sum over all of them, each shard gives its term: the first under the output's name.
 */
export function fuse(graph: Graph, shardSizes: readonly number[]): Program {
  if (shardSizes.length === 0 || !shardSizes.every((size) => Number.isInteger(size) && size > 0)) {
    throw new RangeError(`shards of [${shardSizes.join(", ")}] samples: sizes are positive integers`);
  }
  const fusion = new Fusion(graph, shardSizes);
  const port = (name: string, tensor: number) => ({
    name,
    tensor,
    ...(fusion.tensors[tensor] as ProgramTensor<Sizes>),
  });
  const names = new Set(graph.outputs.map(({ name }) => name));
  const free = (name: string): string => (names.has(name) ? free(`${name}_`) : name);
  const outputs = graph.outputs.flatMap(({ name, value }): Term<Sizes>[] =>
    fusion.output(value).map((tensor, shard) => ({
      ...port(shard === 0 ? name : free(`${name}/${shard}`), tensor),
      output: name,
      shard,
    })),
  );
  return {
    inputs: graph.inputs.map(({ name, value }) => port(name, fusion.input(value))),
    outputs,
    tensors: fusion.tensors,
    steps: fusion.steps,
  };
}
