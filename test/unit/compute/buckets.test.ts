/** Long vectors on their way bucket by bucket: what a thread does meanwhile, and what its worker is told. */
import { setTimeout as sleep } from "node:timers/promises";
import { threadId } from "node:worker_threads";
import { describe, expect, it, onTestFinished } from "vitest";
import { hostMicroseconds } from "../../../shared/clock.ts";
import { ComputePool, readHere } from "../../../shared/compute/pool.ts";
import type { OpenWork, PendingTask, Sum } from "../../../shared/compute/queue.ts";
import type { ComputeResult, ComputeTask, Progress } from "../../../shared/compute/task.ts";
import { Programs } from "../../../shared/compute/programs.ts";
import { Tickets } from "../../../shared/compute/tickets.ts";
import type { PreparedProgram } from "../../../shared/engine/engine.ts";
import { bucketStarts } from "../../../shared/gradient/buckets.ts";
import { partialLayouts } from "../../../shared/gradient/partial.ts";
import { Arena } from "../../../shared/memory/arena.ts";
import { stepNumber } from "../../../shared/ids.ts";
import { SEGMENT_BYTES } from "../../../shared/protocol/messages.ts";
import type { Assignment, RunPlan } from "../../../shared/protocol/messages.ts";
import { regressionPlan } from "../../support/regression-plan.ts";

const [FEW, SHARDS] = [8, 4];
/** So many that a thread is not done with the last sums before it has been heard, also where it is not the only one that computes. */
const MANY = 2_048;
const dense = (units: number) => ({ kind: "dense", units, activation: "relu" }) as const;

/** Two buckets: 1,536 floats, and 512 × 600 with what is behind them. */
const planOf = (samples: number): Promise<RunPlan> =>
  regressionPlan({
    samples,
    batch: samples,
    shards: SHARDS,
    layers: [dense(512), dense(600), { kind: "dense", units: 1 }],
    trace: true,
  });

const assignmentOf = (step: number, samples = FEW): Assignment => ({
  type: "assignment",
  work: { kind: "train", step: stepNumber(step) },
  works: 1,
  epoch: 0,
  offset: 0,
  samples,
  shards: SHARDS,
  nodes: [[0, SHARDS]],
});

/** What is told of a step's sum, in order, with the bytes as they were then. */
interface Told extends Sum {
  readonly bytes: Buffer;
}

/** Computes a step; resolves once all of its sum is told. @param samples of the plan */
const sumOf = (pool: ComputePool, step: number, samples = FEW): Promise<Told[]> =>
  new Promise((resolve) => {
    const told: Told[] = [];
    pool.compute(assignmentOf(step, samples), ({ kind }, sum) => {
      told.push({ ...sum, bytes: Buffer.from(pool.memory.bytesOf(kind, sum.buffer)) });
      pool.release(kind, sum.buffer);
      if (sum.from === 0) resolve(told);
    });
  });

/** Writes some bytes of the parameters of a version: any numbers, always the same ones. */
function fill(pool: ComputePool, version: number, from = 0, until = pool.memory.parameterBytes): void {
  const bytes = pool.memory.parametersOf(version);
  const floats = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  for (let index = from / 4; index < until / 4; index++) floats[index] = Math.sin(index + 1) / 4;
}

async function opened(threads = 1, isApart = false, samples = FEW): Promise<ComputePool> {
  const pool = await ComputePool.open(await planOf(samples), threads, isApart);
  onTestFinished(() => pool.close());
  return pool;
}

/** The sum as a worker that shares memory computes it, whole. */
async function wholeSum(samples = FEW): Promise<Buffer> {
  const pool = await opened(1, false, samples);
  Object.defineProperty(pool.memory, "isApart", { value: false });
  fill(pool, 0);
  pool.arrived(0);
  const told = await sumOf(pool, 0, samples);
  expect(told.map(({ from, until, calls }) => [from, until, calls.length])).toEqual([[0, told[0]!.bytes.length, 1]]);
  return told[0]!.bytes;
}

describe.each([
  ["a compute thread", false, MANY],
  ["the main thread", true, FEW],
])("%s", (_, isApart, samples) => {
  it("begins with the first parameters, waits for the others, and tells of the last sums first", async () => {
    const [expected, pool] = [await wholeSum(samples), await opened(1, isApart, samples)];
    // Now its program is loaded.
    pool.arrived(0);
    await sumOf(pool, 0, samples);
    let told: Told[] = [];
    let arrived = 0;
    // What a thread tells may be heard together with its result, and then not before it.
    for (let version = 2; told.length < 2 && version < 40; version += 2) {
      pool.memory.parametersOf(version).fill(0xff);
      const sum = sumOf(pool, version, samples);
      fill(pool, version, 0, SEGMENT_BYTES);
      pool.arrived(version, SEGMENT_BYTES);
      await sleep(500);
      arrived = hostMicroseconds();
      fill(pool, version, SEGMENT_BYTES);
      pool.arrived(version);
      told = await sum;
      for (const { from, until, bytes } of told)
        expect(bytes.subarray(from, until).equals(expected.subarray(from, until))).toBe(true);
    }
    expect(told.map(({ from, until }) => [from, until])).toEqual([
      [SEGMENT_BYTES, expected.length],
      [0, SEGMENT_BYTES],
    ]);
    const { calls, computeMicroseconds } = told[1]!;
    const [first, second, third] = calls;
    expect(calls).toHaveLength(3);
    expect(first![4]).toBeLessThan(arrived);
    expect(second![3]).toBeGreaterThanOrEqual(arrived);
    expect(third![1]).toBe(second![4]);
    // Waiting is not computing.
    const computing = calls.map(([, gather, wait, compute, end]) => wait - gather + end - compute);
    expect(computeMicroseconds).toBe(computing.reduce((sum, microseconds) => sum + microseconds, 0));
  });

  it("does not begin before the first bucket is whole", async () => {
    const pool = await opened(1, isApart);
    pool.arrived(0);
    await sumOf(pool, 0);
    const sum = sumOf(pool, 1);
    fill(pool, 1);
    pool.arrived(1, 2_048);
    await sleep(300);
    const arrived = hostMicroseconds();
    pool.arrived(1);
    expect((await sum).at(-1)?.calls[0]?.[3]).toBeGreaterThanOrEqual(arrived);
  });

  it("computes all of its sum itself", async () => {
    const pool = await opened(1, isApart);
    pool.arrived(0);
    const threads = (await sumOf(pool, 0)).flatMap(({ calls }) => calls.map(([thread]) => thread));
    expect(threads.map((thread) => thread === threadId)).toEqual(threads.map(() => isApart));
    expect(threads).not.toEqual([]);
  });
});

it("the main thread lets its socket have a turn between two stages", async () => {
  const pool = await opened(1, true);
  pool.arrived(0);
  await sumOf(pool, 0);
  let turns = 0;
  let isOver = false;
  const turn = (): void => {
    turns += 1;
    if (!isOver) setImmediate(turn);
  };
  const toldAt: number[] = [];
  pool.arrived(2);
  await new Promise<void>((resolve) => {
    pool.compute(assignmentOf(2), ({ kind }, { buffer, from }) => {
      toldAt.push(turns);
      pool.release(kind, buffer);
      if (from === 0) resolve();
    });
    setImmediate(turn);
  });
  isOver = true;
  expect(toldAt).toHaveLength(2);
  expect(toldAt[0]).toBeLessThan(toldAt[1]!);
});

describe("one of two threads", () => {
  it("tells nothing of a part of a partial", async () => {
    const pool = await opened(2);
    fill(pool, 0);
    pool.arrived(0);
    const expected = await wholeSum();
    const [told, ...others] = await sumOf(pool, 0);
    expect(others).toEqual([]);
    expect(told!.bytes.equals(expected)).toBe(true);
  });
});

/** A pool whose thread does what the test says. */
async function byHand(): Promise<{
  pool: ComputePool;
  given: ComputeTask[];
  told: (readonly [from: number, until: number, buffer: number])[];
  tell: (progress: Progress) => void;
  /** How often threads were told to stop waiting. */
  interrupts: () => number;
  end: (result: ComputeResult) => Promise<void>;
}> {
  const given: ComputeTask[] = [];
  const ends: ((results: ComputeResult[]) => void)[] = [];
  let tell: (progress: Progress) => void = () => {};
  let interrupts = (): number => 0;
  const run = (tasks: readonly ComputeTask[]): Promise<ComputeResult[]> => {
    given.push(...tasks);
    return new Promise((resolve) => ends.push(resolve));
  };
  const plan = await planOf(FEW);
  const pool = new ComputePool(plan, 1, await readHere(plan), (setup, onProgress) => {
    tell = onProgress;
    interrupts = () => new Int32Array(setup.memory.buffer, setup.interrupts, 1)[0]!;
    return { run, wake: () => {}, close: async () => {} };
  });
  onTestFinished(() => pool.close());
  const told: (readonly [number, number, number])[] = [];
  const end = async (result: ComputeResult): Promise<void> => {
    ends.shift()!([result]);
    await new Promise((resolve) => setImmediate(resolve));
  };
  pool.compute(assignmentOf(0), (_, { from, until, buffer }) => told.push([from, until, buffer]));
  return { pool, given, told, tell: (progress) => tell(progress), interrupts: () => interrupts(), end };
}

const done = { microseconds: 1, announced: false, calls: [] } as const;
const MORE = 2 * SEGMENT_BYTES;

describe("a worker", () => {
  it("is told of each byte once, and of a buffer as often as it is to release it", async () => {
    const { pool, given, told, tell, end } = await byHand();
    const ticket = given[0]!.ticket!;
    tell({ ticket, from: SEGMENT_BYTES });
    tell({ ticket, from: SEGMENT_BYTES });
    tell({ ticket, from: MORE });
    await end(done);
    const [{ length }] = [pool.memory.bytesOf("train", given[0]!.outputs[0]!)];
    const buffer = given[0]!.outputs[0]!;
    expect(told).toEqual([
      [SEGMENT_BYTES, length, buffer],
      [0, SEGMENT_BYTES, buffer],
    ]);
    const acquired = (): boolean => {
      const buffers = pool.memory.acquire("train", 8)!;
      pool.memory.release("train", ...buffers);
      return buffers.includes(buffer);
    };
    expect(acquired()).toBe(false);
    pool.release("train", buffer);
    expect(acquired()).toBe(false);
    pool.release("train", buffer);
    expect(acquired()).toBe(true);
  });

  it("is told nothing by a thread that is heard too late: the buffer may be another sum's", async () => {
    const { pool, given, told, tell, end } = await byHand();
    await end(done);
    const { ticket, outputs } = given[0]!;
    pool.release("train", outputs[0]!);
    pool.compute(assignmentOf(0), (_, { from, until, buffer }) => told.push([from, until, buffer]));
    expect(given[1]!.outputs[0]).toBe(outputs[0]);
    expect(given[1]!.ticket).not.toBe(ticket);
    tell({ ticket: ticket!, from: SEGMENT_BYTES });
    expect(told).toHaveLength(1);
  });

  it("is told nothing of what it forgets", async () => {
    const { pool, given, told, tell } = await byHand();
    pool.forget();
    tell({ ticket: given[0]!.ticket!, from: SEGMENT_BYTES });
    expect(told).toEqual([]);
  });

  it("that shares memory with the coordinator is told of whole sums", async () => {
    const { pool, given } = await byHand();
    Object.defineProperty(pool.memory, "isApart", { value: false });
    pool.compute(assignmentOf(1), () => {});
    expect(given.map(({ inStages, ticket }) => [inStages, ticket !== undefined])).toEqual([
      [true, true],
      [false, false],
    ]);
  });

  it("hears of no version that none of its parameters are there", async () => {
    const { pool } = await byHand();
    pool.arrived(4);
    const { value } = pool.memory.arrivals;
    pool.arrived(6, 64);
    expect(pool.memory.arrivals.value).toBe(value);
  });

  it("does not take back what has arrived when some of it comes again", async () => {
    const { pool } = await byHand();
    pool.arrived(4);
    const { value } = pool.memory.arrivals;
    pool.arrived(4, SEGMENT_BYTES);
    expect(pool.memory.arrivals.value).toBe(value);
  });

  it("that forgets a work has a thread between two of its stages stop, also where all parameters have arrived", async () => {
    const { pool, interrupts } = await byHand();
    pool.arrived(0);
    const before = interrupts();
    pool.forget({ kind: "train", step: stepNumber(0) });
    expect(interrupts()).toBe(before + 1);
  });
});

it("a program whose stages would leave too much for one another is run whole", async () => {
  const plan = await regressionPlan({
    samples: 4_096,
    batch: 4_096,
    shards: 2,
    layers: [dense(2 ** 17), dense(2), { kind: "dense", units: 1 }],
  });
  const layouts = partialLayouts(plan.parameters, plan.metrics);
  const prepare = async (): Promise<PreparedProgram> => ({ run: async () => {}, close: async () => {} });
  const programs = new Programs(plan, layouts, new Arena(64).memory, { name: "none", prepare });
  const stagesOf = async (rows: number): Promise<number> => {
    const task = { kind: "train", step: 0, epoch: 0, offset: 0, first: 0, sizes: [rows], parameters: 0, outputs: [] };
    const loaded = await programs.of({ ...task, kind: "train", inStages: true });
    return loaded.stages.length;
  };
  expect(bucketStarts(layouts.parameters)).toHaveLength(2);
  expect(await stagesOf(16)).toBe(3);
  expect(await stagesOf(4_096)).toBe(1);
});

it("a ticket is good until its task is over", () => {
  const tickets = new Tickets();
  const pending = { work: { forgotten: false } as OpenWork } as PendingTask;
  const ticket = tickets.issue(pending, 64, 300);
  expect(tickets.take({ ticket: ticket.number, from: 200 })).toMatchObject({ buffer: 64, from: 200, until: 300 });
  expect(tickets.take({ ticket: ticket.number, from: 100 })).toMatchObject({ from: 100, until: 200 });
  tickets.close(ticket);
  expect(tickets.take({ ticket: ticket.number, from: 0 })).toBeUndefined();
});
