import { describe, expect, it } from "vitest";
import type { LockstepError } from "../../shared/errors.ts";
import { instantiateKernels } from "../../shared/kernels/index.ts";
import { Arena } from "../../shared/memory/arena.ts";
import { layoutOf } from "../../shared/memory/layout.ts";
import { globalNorm } from "../../shared/optim/norm.ts";
import { isFrozenBy } from "../../shared/optim/segments.ts";
import { averageIn, optimizerOf } from "../../shared/optim/optimizer.ts";
import type { OptimizerSpec, ParameterGroup } from "../../shared/optim/spec.ts";
import { randomStream } from "../../shared/random.ts";

const round = Math.fround;
const bits = (floats: Float32Array): Uint32Array => new Uint32Array(Float32Array.from(floats).buffer);

/** One float of every vector: the parameter and the states before a step. */
type Column = readonly number[];

/**
 * One optimizer written out for one float, each operation rounded to float32: takes the column before step `t` and the
 * mean gradient, returns the column after it.
 */
interface Case {
  readonly name: string;
  readonly spec: OptimizerSpec;
  readonly states: readonly string[];
  readonly plain: (column: Column, gradient: number, t: number) => Column;
}

const rate = round(0.05);
const descend = (theta: number, update: number): number => round(theta - round(rate * update));
const decayed = (update: number, theta: number, decay: number): number => round(update + round(theta * round(decay)));
const traced = (momentum: number, buffer: number, update: number): number =>
  round(round(buffer * round(momentum)) + update);
/** 1 / (1 − βᵗ) as float32, the power taken by squaring. */
const correction = (beta: number, t: number): number => {
  let power = 1;
  for (let bit = 0, square = beta; bit < 8; bit++, square *= square) if ((t >> bit) & 1) power *= square;
  return round(1 / (1 - power));
};
const overRoot = (update: number, square: number, epsilon: number): number =>
  round(update / round(round(Math.sqrt(square)) + round(epsilon)));
const average = (beta: number, before: number, value: number): number =>
  round(round(before * round(beta)) + round(value * round(1 - beta)));

function adam([, mean, variance]: Column, update: number, t: number): Column {
  const nextMean = average(0.9, mean!, update);
  const nextVariance = average(0.999, variance!, round(update * update));
  const corrected = round(nextVariance * correction(0.999, t));
  return [overRoot(round(nextMean * correction(0.9, t)), corrected, 1e-8), nextMean, nextVariance];
}

const cases: Case[] = [
  {
    name: "sgd with clipped entries",
    spec: { kind: "sgd", learningRate: 0.05, momentum: 0.9, clipValue: 0.3 },
    states: ["momentum"],
    plain([theta, momentum], gradient) {
      const next = traced(0.9, momentum!, Math.max(-round(0.3), Math.min(round(0.3), gradient)));
      return [descend(theta!, next), next];
    },
  },
  {
    name: "sgd",
    spec: { kind: "sgd", learningRate: 0.05 },
    states: [],
    plain: ([theta], gradient) => [descend(theta!, gradient)],
  },
  {
    name: "sgd with momentum",
    spec: { kind: "sgd", learningRate: 0.05, momentum: 0.9 },
    states: ["momentum"],
    plain([theta, momentum], gradient) {
      const next = traced(0.9, momentum!, gradient);
      return [descend(theta!, next), next];
    },
  },
  {
    name: "sgd with momentum and decay",
    spec: { kind: "sgd", learningRate: 0.05, momentum: 0.9, weightDecay: 0.01 },
    states: ["momentum"],
    plain([theta, momentum], gradient) {
      const next = traced(0.9, momentum!, decayed(gradient, theta!, 0.01));
      return [descend(theta!, next), next];
    },
  },
  {
    name: "sgd with Nesterov momentum",
    spec: { kind: "sgd", learningRate: 0.05, momentum: 0.8, nesterov: true },
    states: ["momentum"],
    plain([theta, momentum], gradient) {
      const next = traced(0.8, momentum!, gradient);
      return [descend(theta!, round(gradient + round(next * round(0.8)))), next];
    },
  },
  {
    name: "adam with coupled decay",
    spec: { kind: "adam", learningRate: 0.05, weightDecay: 0.02 },
    states: ["mean", "variance"],
    plain(column, gradient, t) {
      const [update, mean, variance] = adam(column, decayed(gradient, column[0]!, 0.02), t);
      return [descend(column[0]!, update!), mean!, variance!];
    },
  },
  {
    name: "adamw with its default decay",
    spec: { kind: "adamw", learningRate: 0.05 },
    states: ["mean", "variance"],
    plain(column, gradient, t) {
      const [update, mean, variance] = adam(column, gradient, t);
      return [descend(column[0]!, decayed(update!, column[0]!, 0.01)), mean!, variance!];
    },
  },
  {
    name: "rmsprop with momentum",
    spec: { kind: "rmsprop", learningRate: 0.05, momentum: 0.9 },
    states: ["squares", "momentum"],
    plain([theta, squares, momentum], gradient) {
      const nextSquares = average(0.99, squares!, round(gradient * gradient));
      const next = traced(0.9, momentum!, overRoot(gradient, nextSquares, 1e-8));
      return [descend(theta!, next), nextSquares, next];
    },
  },
  {
    name: "rmsprop with decay, a share and an epsilon of its own",
    spec: { kind: "rmsprop", learningRate: 0.05, weightDecay: 0.02, alpha: 0.9, epsilon: 1e-3 },
    states: ["squares"],
    plain([theta, squares], gradient) {
      const update = decayed(gradient, theta!, 0.02);
      const next = average(0.9, squares!, round(update * update));
      return [descend(theta!, overRoot(update, next, 1e-3)), next];
    },
  },
  {
    name: "adagrad with decay and an epsilon of its own",
    spec: { kind: "adagrad", learningRate: 0.05, weightDecay: 0.02, epsilon: 1e-3 },
    states: ["squares"],
    plain([theta, squares], gradient) {
      const update = decayed(gradient, theta!, 0.02);
      const next = round(squares! + round(update * update));
      return [descend(theta!, overRoot(update, next, 1e-3)), next];
    },
  },
  {
    name: "adagrad",
    spec: { kind: "adagrad", learningRate: 0.05 },
    states: ["squares"],
    plain([theta, squares], gradient) {
      const next = round(squares! + round(gradient * gradient));
      return [descend(theta!, overRoot(gradient, next, 1e-10)), next];
    },
  },
];

/** Two blocks and a gradient for `count` floats; `step` runs one step from block to block and swaps them. */
function bench(spec: OptimizerSpec, count: number, surroundings?: Parameters<typeof optimizerOf>[1]) {
  const optimizer = optimizerOf(spec, surroundings);
  const blockFloats = (1 + optimizer.stateNames.length) * count;
  const arena = new Arena(4 * (2 * blockFloats + count) + 192);
  const kernels = instantiateKernels(arena.memory);
  const gradient = arena.allocate(4 * count);
  let [from, to] = [arena.allocate(4 * blockFloats), arena.allocate(4 * blockFloats)];
  let stepNumber = 0;
  return {
    block: (): Float32Array => arena.floats(from, blockFloats),
    before: (): Float32Array => arena.floats(to, blockFloats),
    /** Says whether all is finite. */
    step: (values: Float32Array, samples: number): boolean => {
      arena.floats(gradient, count).set(values);
      const { learningRate } = spec;
      const step = { from, to, gradient, count, samples, stepNumber: ++stepNumber, learningRate };
      const isFinite = optimizer.update(kernels, step);
      [from, to] = [to, from];
      return isFinite;
    },
  };
}

const stream = randomStream(21, "probe");
const normals = (count: number, start: number): Float32Array =>
  Float32Array.from({ length: count }, (_, index) => stream.normal(start + index));

describe.each(cases)("$name", ({ spec, states, plain }) => {
  it("names its states", () => expect(optimizerOf(spec).stateNames).toEqual(states));

  it("has the bits of the plain float32 formula and leaves the block it reads untouched", () => {
    // More than one chunk and a rest that is no whole SIMD vector.
    const count = 65_536 + 1003;
    const samples = 96;
    const vectors = 1 + states.length;
    const { block, before, step } = bench(spec, count);
    block().set(normals(count, 0));
    for (let t = 1; t <= 3; t++) {
      const start = Float32Array.from(block());
      const gradient = normals(count, t * count).map((value) => value * samples);
      const expected = new Float32Array(vectors * count);
      for (let index = 0; index < count; index++) {
        const column = Array.from({ length: vectors }, (_, vector) => start[vector * count + index]!);
        const next = plain(column, round(gradient[index]! / samples), t);
        for (let vector = 0; vector < vectors; vector++) expected[vector * count + index] = next[vector]!;
      }
      step(gradient, samples);
      expect(Buffer.compare(Buffer.from(bits(block()).buffer), Buffer.from(bits(expected).buffer))).toBe(0);
      expect(Buffer.compare(Buffer.from(bits(before()).buffer), Buffer.from(bits(start).buffer))).toBe(0);
    }
  });

  it("keeps the padding of every vector zero to the bit", () => {
    const layout = layoutOf([
      { name: "weight", shape: [3, 7] },
      { name: "bias", shape: [3] },
    ]);
    const { block, step } = bench({ ...spec, clipNorm: 0.5 }, layout.size);
    const used = new Uint8Array(layout.size);
    for (const { offset, length } of layout.slots) used.fill(1, offset, offset + length);
    const masked = (start: number): Float32Array =>
      normals(layout.size, start).map((value, index) => (used[index] === 1 ? value : 0));
    block().set(masked(0));
    for (let t = 1; t <= 4; t++) step(masked(100 * t), 7);
    const padding = bits(block()).filter((_, index) => used[index % layout.size] === 0);
    expect(padding).toHaveLength((1 + states.length) * (layout.size - 24));
    expect(padding.every((word) => word === 0)).toBe(true);
    expect(block().filter((value) => value !== 0)).toHaveLength((1 + states.length) * 24);
  });
});

const kinds = ["sgd", "adam", "adamw", "lamb", "rmsprop", "adagrad"] as const;

describe.each(kinds)("%s", (kind) => {
  it("cuts the entries of the mean gradient before it does anything else with them", () => {
    const count = 64;
    const [cut, plain] = [
      bench({ kind, learningRate: 0.05, clipValue: 0.5 }, count),
      bench({ kind, learningRate: 0.05 }, count),
    ];
    for (const { block } of [cut, plain]) block().set(normals(count, 0));
    for (let t = 1; t <= 2; t++) {
      const gradient = normals(count, t * count);
      cut.step(
        gradient.map((value) => 4 * value),
        4,
      );
      plain.step(
        gradient.map((value) => Math.max(-0.5, Math.min(0.5, value))),
        1,
      );
    }
    expect(cut.block()).toEqual(plain.block());
  });

  it("knows whether the gradient and the parameters are finite, wherever it is that they are not", () => {
    const count = 2 * 65_536;
    const layout = layoutOf([
      { name: "one", shape: [count / 4] },
      { name: "two", shape: [(3 * count) / 4] },
    ]);
    const groups = [{ parameters: "two", learningRateFactor: 0.5 }];
    // The first and the second stretch, and of this the first and the last chunk.
    for (const place of [undefined, 5, count / 4 + 5, count - 1]) {
      const { block, step } = bench({ kind, learningRate: 0.05 }, count, { layout, groups });
      block().set(normals(count, 0));
      const gradient = normals(count, count);
      if (place !== undefined) gradient[place] = Number.NaN;
      expect(step(gradient, 1), `${place}`).toBe(place === undefined);
    }
  });
});

describe("weight decay", () => {
  const afterOneStep = (spec: OptimizerSpec): number[] => {
    const { block, step } = bench(spec, 2);
    block().set([2, -8]);
    step(new Float32Array(2), 1);
    return [...block().subarray(0, 2)];
  };

  it("in adam is part of the gradient, so it is normalised with it: without a gradient every weight moves by the rate", () => {
    const [first, second] = afterOneStep({ kind: "adam", learningRate: 0.1, weightDecay: 0.5 });
    expect(first).toBeCloseTo(1.9, 6);
    expect(second).toBeCloseTo(-7.9, 6);
  });

  it("in adamw is decoupled: without a gradient every weight shrinks by the share rate · decay", () => {
    const [first, second] = afterOneStep({ kind: "adamw", learningRate: 0.1, weightDecay: 0.5 });
    expect(first).toBeCloseTo(1.9, 6);
    expect(second).toBeCloseTo(-7.6, 6);
  });
});

describe("clipNorm", () => {
  const parametersAfter = (clipNorm: number, samples: number): number[] => {
    const { block, step } = bench({ kind: "sgd", learningRate: 1, clipNorm }, 2);
    step(Float32Array.of(3 * samples, 4 * samples), samples);
    return [...block()];
  };

  it("shortens the mean gradient, not the sum, to the norm given", () => {
    const [first, second] = parametersAfter(0.5, 10);
    expect(first).toBeCloseTo(-0.3, 6);
    expect(second).toBeCloseTo(-0.4, 6);
  });

  it("leaves a shorter gradient's bits alone", () => expect(parametersAfter(5.1, 10)).toEqual([-3, -4]));
});

describe("lamb", () => {
  /** The paper's algorithm 2 (You et al. 2020) with φ(z) = z, in float64, for one tensor. */
  function plainLamb(
    theta: number[],
    gradients: readonly (readonly number[])[],
    rate: number,
    decay: number,
  ): number[] {
    let [mean, variance] = [theta.map(() => 0), theta.map(() => 0)];
    const length = (values: readonly number[]): number => Math.hypot(...values);
    gradients.forEach((gradient, index) => {
      mean = mean.map((value, at) => 0.9 * value + 0.1 * gradient[at]!);
      variance = variance.map((value, at) => 0.999 * value + 0.001 * gradient[at]! ** 2);
      const [first, second] = [1 - 0.9 ** (index + 1), 1 - 0.999 ** (index + 1)];
      const update = theta.map(
        (value, at) => mean[at]! / first / (Math.sqrt(variance[at]! / second) + 1e-6) + decay * value,
      );
      const ratio = length(theta) > 0 && length(update) > 0 ? length(theta) / length(update) : 1;
      theta = theta.map((value, at) => value - rate * ratio * update[at]!);
    });
    return theta;
  }

  it("scales the update of every tensor to the tensor's own length", () => {
    const layout = layoutOf([
      { name: "weight", shape: [5, 7] },
      { name: "bias", shape: [5] },
    ]);
    const spec: OptimizerSpec = { kind: "lamb", learningRate: 0.05, weightDecay: 0.02 };
    const { block, step } = bench(spec, layout.size, { layout });
    const [weight, bias] = [normals(35, 0), new Float32Array(5)];
    block().set(weight, 0);
    const gradients = [1, 2, 3, 4].map((t) => [normals(35, 100 * t), normals(5, 1000 * t)] as const);
    for (const [ofWeight, ofBias] of gradients) {
      const gradient = new Float32Array(layout.size);
      gradient.set(ofWeight, 0);
      gradient.set(ofBias, layout.slots[1]!.offset);
      step(gradient, 1);
    }
    const expected = (start: Float32Array, tensor: 0 | 1): number[] =>
      plainLamb(
        [...start],
        gradients.map((pair) => [...pair[tensor]]),
        0.05,
        0.02,
      );
    const wanted = [...expected(weight, 0), ...expected(bias, 1)];
    const found = [...block().subarray(0, 35), ...block().subarray(48, 53)];
    const error = Math.hypot(...wanted.map((value, at) => value - found[at]!)) / Math.hypot(...wanted);
    expect(error).toBeLessThan(1e-5);
    // Its padding stays zero.
    expect([...block().subarray(35, 48)].every((value) => Object.is(value, 0))).toBe(true);
  });

  it("has another epsilon than adam where none is given", () => {
    const after = (given: { readonly epsilon?: number } = {}): Uint32Array => {
      const layout = layoutOf([{ name: "weight", shape: [16] }]);
      const { block, step } = bench({ kind: "lamb", learningRate: 0.1, ...given }, layout.size, { layout });
      block().set(normals(16, 0));
      // About as small as it.
      const gradient = normals(16, 100).map((value) => 1e-6 * value);
      step(gradient, 1);
      return bits(block());
    };
    expect(after()).toEqual(after({ epsilon: 1e-6 }));
    expect(after()).not.toEqual(after({ epsilon: 1e-8 }));
  });
});

describe("groups of parameters", () => {
  const layout = layoutOf([
    { name: "0.weight", shape: [2, 3] },
    { name: "0.bias", shape: [2] },
    { name: "2.weight", shape: [1, 2] },
    { name: "2.bias", shape: [1] },
  ]);
  const slotsOf = (vector: Float32Array): Record<string, number[]> =>
    Object.fromEntries(
      layout.slots.map(({ name, offset, length }) => [name, [...vector.subarray(offset, offset + length)]]),
    );
  const afterSteps = (spec: OptimizerSpec, groups: readonly ParameterGroup[], averageDecay?: number) => {
    const { block, step } = bench(spec, layout.size, { layout, groups, averageDecay });
    for (const { offset, length } of layout.slots) block().fill(-1, offset, offset + length);
    for (let t = 1; t <= 3; t++) {
      const gradient = new Float32Array(layout.size);
      for (const { offset, length } of layout.slots) gradient.set(normals(length, 100 * t + offset), offset);
      step(gradient, 1);
    }
    return slotsOf(block());
  };
  const adamw: OptimizerSpec = { kind: "adamw", learningRate: 0.1, weightDecay: 0.5, clipNorm: 0.1 };

  it("spare vectors the decay, and nothing else", () => {
    const [all, spared] = [afterSteps(adamw, []), afterSteps(adamw, [{ parameters: "vectors", weightDecay: 0 }])];
    const without = afterSteps({ ...adamw, weightDecay: 0 }, []);
    for (const name of ["0.weight", "2.weight"]) expect(spared[name]).toEqual(all[name]);
    for (const name of ["0.bias", "2.bias"]) expect(spared[name]).toEqual(without[name]);
    expect(all["0.bias"]).not.toEqual(without["0.bias"]);
  });

  it("freeze what comes last in the layout to the bit, which is its own average; nothing is read of a gradient", () => {
    const trained = { name: "2.weight", shape: [1, 2] };
    const partly = layoutOf([trained, { name: "0.weight", shape: [2, 3], frozen: true }]);
    const clipped: OptimizerSpec = { kind: "sgd", learningRate: 1, clipNorm: 0.01 };
    const { block, step } = bench(clipped, partly.size, { layout: partly, averageDecay: 0.9 });
    const start = [0.1, -0, 3e-40, -7, 1e30, 5];
    const { offset } = partly.slots[1]!;
    block().set(start, offset);
    // Where its gradient would be, a partial has its metrics.
    const gradient = new Float32Array(partly.size).fill(1e9);
    gradient.fill(0, 0, offset);
    gradient[0] = 3;
    step(gradient, 1);
    step(gradient.fill(0, 0, offset), 1);
    expect(block()[0]).toBeCloseTo(-0.01, 6);
    const average = block().subarray(partly.size);
    for (const vector of [block(), average])
      expect([...vector.subarray(offset, offset + 6)]).toEqual([...Float32Array.from(start)]);
  });

  it("freeze by name; the last one that says so decides", () => {
    const isFrozen = isFrozenBy([
      { parameters: "0.*", frozen: true },
      { parameters: ["0.bias", "2.bias"], frozen: false },
      { parameters: "*", weightDecay: 0 },
    ]);
    expect(layout.slots.map(isFrozen)).toEqual([true, false, false, false]);
    expect(isFrozenBy([{ parameters: "vectors", frozen: true }])(layout.slots[1]!)).toBe(true);
  });

  it("multiply the learning rate; the last one that names a parameter decides", () => {
    const sgd: OptimizerSpec = { kind: "sgd", learningRate: 0.5 };
    const fast = afterSteps({ ...sgd, learningRate: 1 }, []);
    const found = afterSteps(sgd, [
      { parameters: "*", learningRateFactor: 7 },
      { parameters: "2.*", learningRateFactor: 2 },
      { parameters: "0.*", learningRateFactor: 0 },
    ]);
    expect(found["2.weight"]).toEqual(fast["2.weight"]);
    expect(found["0.bias"]).toEqual([-1, -1]);
  });

  it("may name several parameters each", () => {
    const listed = afterSteps(adamw, [{ parameters: ["0.bias", "2.bias"], weightDecay: 0 }]);
    expect(listed).toEqual(afterSteps(adamw, [{ parameters: "vectors", weightDecay: 0 }]));
  });

  it("multiply lamb's learning rate too", () => {
    const lamb: OptimizerSpec = { kind: "lamb", learningRate: 0.5 };
    const fast = afterSteps({ ...lamb, learningRate: 1 }, []);
    expect(afterSteps(lamb, [{ parameters: "*", learningRateFactor: 2 }])).toEqual(fast);
    expect(afterSteps(lamb, [])).not.toEqual(fast);
  });

  it("must name a parameter, and not freeze everything", () => {
    const refused = (groups: readonly ParameterGroup[]) => (): unknown => optimizerOf(adamw, { layout, groups });
    expect(refused([{ parameters: "1.weight" }])).toThrow('groups[0].parameters: no parameter is named "1.weight"');
    // A dot is a dot.
    expect(refused([{ parameters: "0-weigh?" }, { parameters: "0xbias" }])).toThrow("groups[0]");
    expect(refused([{ parameters: ["0.weight", "3.weight"] }])).toThrow('named "3.weight"');
    const frozen = layoutOf([{ name: "0.weight", shape: [2], frozen: true }]);
    expect(() => optimizerOf(adamw, { layout: frozen })).toThrow("every parameter is frozen");
  });
});

describe("a group that names no parameter", () => {
  const hintOf = (count: number): string => {
    const layout = layoutOf(Array.from({ length: count }, (_, number) => ({ name: `p${number}`, shape: [1] })));
    try {
      optimizerOf({ kind: "sgd", learningRate: 1 }, { layout, groups: [{ parameters: "q" }] });
    } catch (error) {
      return (error as LockstepError).hint;
    }
    return "";
  };

  it("is told what there are, the first and the last of many", () => {
    expect(hintOf(2)).toMatch(/^There are: p0, p1;/);
    expect(hintOf(12)).toMatch(/^There are: p0, p1, p2, p3, p4, p5, p6, p7, p8, p9, p10, p11;/);
    expect(hintOf(20)).toMatch(/^There are: p0, p1, p2, p3, p4, p5, p6, p7, …, p17, p18, p19;/);
  });
});

describe("the average", () => {
  it("starts with the first parameters and keeps its share at every step", () => {
    const layout = layoutOf([{ name: "weight", shape: [4] }]);
    const { block, step } = bench({ kind: "sgd", learningRate: 1 }, layout.size, { layout, averageDecay: 0.75 });
    const parameters = [10, 20, 30, 40];
    block().set(parameters);
    let wanted: number[] = [];
    for (let t = 1; t <= 5; t++) {
      step(Float32Array.of(1, 2, 3, 4, ...Array<number>(12).fill(0)), 1);
      const now = parameters.map((value, at) => value - t * (at + 1));
      wanted = t === 1 ? now : wanted.map((value, at) => 0.75 * value + 0.25 * now[at]!);
    }
    const states = [{ name: "average", vector: block().subarray(layout.size) }];
    expect([...averageIn(states)!.subarray(0, 4)]).toEqual(wanted);
  });

  it("follows the steps of lamb too", () => {
    const layout = layoutOf([{ name: "weight", shape: [16] }]);
    const { block, step } = bench({ kind: "lamb", learningRate: 0.1 }, layout.size, { layout, averageDecay: 0.75 });
    block().set(normals(16, 0));
    const after = (t: number): { now: Float32Array; average: Float32Array } => {
      step(normals(16, 100 * t), 1);
      return { now: block().slice(0, 16), average: block().slice(-16) };
    };
    const [first, second] = [after(1), after(2)];
    expect(first.average).toEqual(first.now);
    second.now.forEach((now, at) => expect(second.average[at]).toBeCloseTo(0.75 * first.now[at]! + 0.25 * now, 6));
  });

  it("of parameters that stay is these parameters, to the bit", () => {
    const layout = layoutOf([{ name: "weight", shape: [1] }]);
    const { block, step } = bench({ kind: "sgd", learningRate: 0.1 }, layout.size, { layout, averageDecay: 0.9999 });
    block()[0] = 0.1;
    for (let t = 1; t <= 1000; t++) step(new Float32Array(layout.size), 1);
    expect(block()[layout.size]).toBe(Math.fround(0.1));
  });
});

describe("globalNorm", () => {
  it("adds chunks of 4096 floats along the canonical tree", () => {
    const count = 2 * 4096 + 5;
    const arena = new Arena(4 * count);
    const vector = arena.allocate(4 * count);
    const values = arena.floats(vector, count);
    values.set(normals(count, 0));
    const kernels = instantiateKernels(arena.memory);
    // Three chunks: the tree splits at two.
    const [first, second, third] = [0, 4096, 8192].map((start) =>
      kernels.sumOfSquares(vector + 4 * start, Math.min(4096, count - start)),
    );
    expect(globalNorm(kernels, vector, count)).toBe(Math.sqrt(first! + second! + third!));
    expect(globalNorm(kernels, vector, count)).toBeCloseTo(Math.hypot(...values), 9);
    expect(globalNorm(kernels, vector, 0)).toBe(0);
  });
});

describe("an epsilon that float32 rounds to 0", () => {
  it.each(["adam", "rmsprop", "adagrad"] as const)("leaves a float without a gradient where it is in %s", (kind) => {
    const { block, step } = bench({ kind, learningRate: 0.1, epsilon: 1e-60 }, 2);
    block().set([0, 3]);
    step(new Float32Array(2), 1);
    expect([...block().subarray(0, 2)]).toEqual([0, 3]);
  });
});
