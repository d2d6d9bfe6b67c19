import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { Crew, CREW_BYTES } from "../../../coordinator/crew/crew.ts";
import { Desk, DESK_BYTES } from "../../../coordinator/crew/desk.ts";
import { instantiateKernels } from "../../../shared/kernels/index.ts";
import { Arena } from "../../../shared/memory/arena.ts";
import { BLOCK_FLOATS, blockwiseChecksum } from "../../../shared/memory/blocks.ts";
import { layoutOf } from "../../../shared/memory/layout.ts";
import { optimizerOf } from "../../../shared/optim/optimizer.ts";
import type { Surroundings } from "../../../shared/optim/optimizer.ts";
import type { OptimizerSpec } from "../../../shared/optim/spec.ts";

/** Long enough for other threads to be called, and no whole number of blocks. */
const layout = layoutOf([
  { name: "0.weight", shape: [20 * BLOCK_FLOATS + 5] },
  { name: "0.bias", shape: [77] },
]);
const surroundings = { layout, groups: [{ parameters: "0.bias", weightDecay: 0.5 }], averageDecay: 0.9 };
const adam: OptimizerSpec = { kind: "adamw", learningRate: 0.01, weightDecay: 0.1 };

const plain: OptimizerSpec = { kind: "sgd", learningRate: 0.01 };
const momentum: OptimizerSpec = { ...plain, momentum: 0.9 };

/** Two blocks of parameters and states, and three vectors to be added. */
function bench(spec = adam, around: Surroundings = surroundings) {
  const { size } = layout;
  const vectors = 1 + optimizerOf(spec, around).stateNames.length;
  const arena = new Arena(CREW_BYTES + 4 * size * (2 * vectors + 4) + 1024);
  const kernels = instantiateKernels(arena.memory);
  const crew = new Crew(arena, kernels, { spec, surroundings: around });
  const allocate = (count: number): number => arena.allocate(4 * size * count);
  const [from, to, sums] = [allocate(vectors), allocate(vectors), [allocate(1), allocate(1), allocate(1)]] as const;
  [from, ...sums].forEach((at, vector) =>
    arena
      .floats(at, size)
      .forEach((_, index, floats) => (floats[index] = Math.sin(index + vector) * 10 ** (index % 5))),
  );
  const [a, b, c] = sums as [number, number, number];
  // (a + b) + c, the first sum in place of a and the second in place of c.
  const additions = [
    { into: a, left: a, right: b },
    { into: c, left: a, right: c },
  ];
  const step = { from, to, gradient: c, count: size, samples: 7, stepNumber: 1, learningRate: 0.01 };
  const result = (): Buffer => Buffer.from(arena.bytes(to, 4 * size * vectors)).subarray();
  return { arena, kernels, crew, additions, step, result, sums: [a, b, c] as const };
}

const sound = { isFinite: true, damaged: [] };

/** As it was meant: all additions, then the step. */
function expected(): Buffer {
  const { kernels, additions, step, result, crew } = bench();
  for (const { into, left, right } of additions) kernels.add(into, left, right, step.count);
  expect(crew.optimizer.update(kernels, step)).toBe(true);
  return result();
}

describe("the crew", () => {
  it("takes the step that additions and update one after the other take, to the bit, alone", () => {
    const { crew, additions, step, result } = bench();
    expect(crew.run({ additions, count: step.count, step })).toEqual(sound);
    expect(result().equals(expected())).toBe(true);
  });

  it.for([1, 2])("takes it in parts, from the end on, on %i processors", async (processors) => {
    const { crew, additions, step, result } = bench();
    crew.hire(step.count, processors);
    const { size } = layout;
    const places = [size, size - 70, 17 * BLOCK_FLOATS + 32, 32, 0];
    for (const [index, until] of places.slice(0, -1).entries())
      expect(crew.run({ additions, first: places[index + 1]!, count: until, step })).toEqual(sound);
    expect(result().equals(expected())).toBe(true);
    expect(crew.run({ additions, first: size, count: size, step })).toEqual(sound);
    await crew.close();
  });

  it("does more additions than a desk has room for", async () => {
    const { arena, kernels, crew, step, sums } = bench();
    const [a, b, c] = sums;
    crew.hire(step.count, 2);
    const many = Array.from({ length: 70 }, (_, index) => ({ into: c, left: c, right: index % 2 === 0 ? a : b }));
    const before = Float32Array.from(arena.floats(c, step.count));
    for (const { into, left, right } of many) kernels.add(into, left, right, step.count);
    const wanted = Float32Array.from(arena.floats(c, step.count));
    arena.floats(c, step.count).set(before);
    expect(crew.run({ additions: many, count: step.count })).toEqual(sound);
    expect(Buffer.compare(Buffer.from(arena.bytes(c, 4 * step.count)), Buffer.from(wanted.buffer))).toBe(0);
    await crew.close();
  });

  it.for([2, 16])("and with other threads, again and again, on %i processors", async (processors) => {
    const wanted = expected();
    const { arena, crew, additions, step, result, sums } = bench();
    crew.hire(step.count, processors);
    const fresh = sums.map((at) => Float32Array.from(arena.floats(at, step.count)));
    for (let round = 0; round < 30; round++) {
      sums.forEach((at, vector) => arena.floats(at, step.count).set(fresh[vector]!));
      arena.floats(step.to, step.count).fill(0);
      expect(crew.run({ additions, count: step.count, step })).toEqual(sound);
      expect(result().equals(wanted)).toBe(true);
      // A shorter job behind the long one: who is late for the long one must not take it, or the next, for the other.
      expect(crew.run({ additions: [], count: 17 * BLOCK_FLOATS })).toEqual(sound);
      // Time for the others to fall asleep, now and then.
      if (round % 10 === 0) await sleep(20);
    }
    await crew.close();
  });

  it("leaves the vectors of the last addition as they are, and keeps the sum if there is no step", () => {
    const { arena, crew, additions, step, sums } = bench();
    const [, , c] = sums;
    const before = Float32Array.from(arena.floats(c, step.count));
    const bytesOf = ({ buffer, byteOffset, byteLength }: Float32Array): Buffer =>
      Buffer.from(buffer, byteOffset, byteLength);
    const isAtC = (floats: Float32Array): boolean => bytesOf(arena.floats(c, step.count)).equals(bytesOf(floats));
    crew.run({ additions, count: step.count, step });
    expect(isAtC(before)).toBe(true);
    crew.run({ additions: additions.slice(1), count: step.count });
    const a = arena.floats(sums[0], step.count);
    expect(isAtC(before.map((value, index) => value + a[index]!))).toBe(true);
  });

  it.each([0, BLOCK_FLOATS, 20 * BLOCK_FLOATS + 4])("says when float %i is not finite", (index) => {
    const { arena, crew, additions, step, sums } = bench();
    arena.floats(sums[1], step.count)[index] = Number.POSITIVE_INFINITY;
    expect(crew.run({ additions, count: step.count, step })).toEqual({ isFinite: false, damaged: [] });
    arena.floats(sums[0], step.count)[index] = 0;
    arena.floats(sums[1], step.count)[index] = 0;
    expect(crew.run({ additions, count: step.count, step })).toEqual(sound);
  });

  it.each([0, BLOCK_FLOATS, layout.size - 1])(
    "says which vector is damaged at float %i, alone and with other threads, and takes the same step",
    async (index) => {
      const wanted = expected();
      const { arena, kernels, crew, additions, step, result, sums } = bench();
      const [a, b, c] = sums;
      const vectors = sums.map((place) => ({ place, checksum: blockwiseChecksum(kernels, place, 4 * step.count) }));
      const fresh = sums.map((at) => Float32Array.from(arena.floats(at, step.count)));
      // The last floats are only checked, as the metrics behind a gradient.
      const job = { additions, count: step.count - 1, step, checks: { vectors, length: step.count } };
      const run = (): ReturnType<Crew["run"]> => {
        const outcome = crew.run(job);
        sums.forEach((at, vector) => arena.floats(at, step.count).set(fresh[vector]!));
        return outcome;
      };
      const damage = (place: number): void => void (arena.floats(place, step.count)[index]! += 1);
      for (const hired of [false, true]) {
        if (hired) crew.hire(step.count);
        arena.floats(step.to, step.count).fill(0);
        expect(run()).toEqual(sound);
        const taken = result();
        expect(taken.subarray(0, 4 * (step.count - 1)).equals(wanted.subarray(0, 4 * (step.count - 1)))).toBe(true);
        damage(b);
        expect(run().damaged).toEqual([b]);
        damage(a);
        damage(c);
        expect(run().damaged).toEqual([a, c]);
      }
      await crew.close();
    },
  );
});

describe.each([false, true])("two partials that both are checked, with other threads: %s", (hired) => {
  it.each([
    ["with an average", momentum, surroundings],
    ["with momentum in one pass", momentum, { layout }],
    ["in one pass", plain, { layout }],
    ["in one pass but where a block is of two groups", plain, { ...surroundings, averageDecay: undefined }],
  ])(
    "become the step of their sum, which is not kept, and whichever is damaged is named: %s",
    async (_, spec, around) => {
      const { arena, kernels, crew, step, result, sums } = bench(spec, around);
      if (hired) crew.hire(step.count);
      const [a, b, c] = sums;
      const additions = [{ into: c, left: a, right: b }];
      const vectors = [a, b].map((place) => ({ place, checksum: blockwiseChecksum(kernels, place, 4 * step.count) }));
      const job = { additions, count: step.count, step, checks: { vectors, length: step.count } };
      const before = Buffer.from(arena.bytes(c, 4 * step.count)).toString("hex");
      expect(crew.run(job)).toEqual(sound);
      const taken = Buffer.from(result());
      expect(Buffer.from(arena.bytes(c, 4 * step.count)).toString("hex")).toBe(before);
      for (const damaged of [a, b]) {
        const floats = arena.floats(damaged, step.count);
        const right = floats[BLOCK_FLOATS]!;
        floats[BLOCK_FLOATS] = right + 1;
        expect(crew.run(job).damaged).toEqual([damaged]);
        floats[BLOCK_FLOATS] = right;
      }
      kernels.add(c, a, b, step.count);
      expect(crew.optimizer.update(kernels, step)).toBe(true);
      expect(result().equals(taken)).toBe(true);
      await crew.close();
    },
  );
});

it.each([plain, momentum])("two partials are read once: added, checked and used in one pass, by %o", (spec) => {
  const { kernels, crew, step, sums } = bench(spec, { layout });
  const [a, b, c] = sums;
  const vectors = [a, b].map((place) => ({ place, checksum: blockwiseChecksum(kernels, place, 4 * step.count) }));
  const another = (): never => expect.unreachable("another pass");
  Object.assign(kernels, { add: another, addChecked: another, checksum: another, descend: another });
  const checks = { vectors, length: step.count };
  expect(crew.run({ additions: [{ into: c, left: a, right: b }], count: step.count, step, checks })).toEqual(sound);
});

it("a step whose last block is of no whole lines leaves alone what lies behind it", () => {
  const { arena, crew, step, sums } = bench(plain, { layout });
  const [a, b, c] = sums;
  const count = step.count - 1;
  expect(crew.run({ additions: [{ into: c, left: a, right: b }], count, step })).toEqual(sound);
  expect(arena.floats(step.to, step.count).at(-1)).toBe(0);
});

it("pairs that are added on their own are each checked", () => {
  const { arena, kernels, crew, step, sums } = bench(momentum);
  const [a, b, c] = sums;
  const vectors = [a, b, c].map((place) => ({ place, checksum: blockwiseChecksum(kernels, place, 4 * step.count) }));
  const additions = [
    { into: step.from, left: a, right: b },
    { into: step.to, left: c, right: c },
  ];
  const job = { additions, count: step.count, checks: { vectors, length: step.count } };
  expect(crew.run(job)).toEqual(sound);
  const [both, twice] = [arena.floats(step.from, step.count), arena.floats(step.to, step.count)];
  const [one, other, third] = sums.map((place) => arena.floats(place, step.count));
  expect(both.every((value, index) => value === Math.fround(one![index]! + other![index]!))).toBe(true);
  expect(twice.every((value, index) => value === 2 * third![index]!)).toBe(true);
  third![5]! += 1;
  one![7]! += 1;
  expect(crew.run(job).damaged).toEqual([a, c]);
});

describe("a desk", () => {
  it("gives each block out once, and nothing to a thread that comes late", () => {
    const arena = new Arena(DESK_BYTES);
    const offset = arena.allocate(DESK_BYTES);
    const [one, other] = [new Desk(arena.memory, offset), new Desk(arena.memory, offset)];
    const checks = {
      vectors: [
        { place: 128, checksum: 7 },
        { place: 192, checksum: 4_000_000_000 },
      ],
      length: 64,
    };
    const job = {
      additions: [{ into: 64, left: 128, right: 192 }],
      first: 32,
      count: 2 * BLOCK_FLOATS + 33,
      step: undefined,
      checks,
    };
    one.put(job);
    expect(other.nextCall(0)).toBe(1);
    expect([one.take(), other.take(), one.take(), other.take(), one.take()]).toEqual([0, 1, 2, undefined, undefined]);
    expect(other.job).toEqual(job);
    one.finish({ terms: [3, 2_000_000_000], isFinite: true });
    other.finish({ terms: [3, 2_000_000_000], isFinite: false });
    other.finish({ terms: [2, 0], isFinite: true });
    expect(one.wait()).toEqual({ isFinite: false, damaged: [128] });
    one.put({ ...job, count: 1 });
    expect([other.take(), one.take()]).toEqual([0, undefined]);
    one.finish({ terms: [7, 0], isFinite: true });
    expect(one.wait()).toEqual({ isFinite: true, damaged: [192] });
    one.close();
    expect(other.nextCall(2)).toBeUndefined();
  });
});
