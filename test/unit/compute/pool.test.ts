import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it, onTestFinished } from "vitest";
import { stepNumber } from "../../../shared/ids.ts";
import type { Assignment, RunPlan } from "../../../shared/protocol/messages.ts";
import { ComputePool } from "../../../shared/compute/pool.ts";
import { regressionPlan } from "../../support/regression-plan.ts";

const SAMPLES = 20_000;
const SHARDS = 16;

/** A batch so large that it takes more tasks than are handed out at once. */
const planOf = (): Promise<RunPlan> =>
  regressionPlan({
    samples: SAMPLES,
    batch: SAMPLES,
    shards: SHARDS,
    layers: [
      { kind: "dense", units: 32, activation: "tanh" },
      { kind: "dense", units: 1 },
    ],
  });

/** @param isApart of one thread, whether that is this one: a step is little work */
async function poolOf(plan: RunPlan, threads: number, isApart = false): Promise<ComputePool> {
  const pool = await ComputePool.open(plan, threads, isApart);
  onTestFinished(() => pool.close());
  return pool;
}

const assignmentOf = (step: number): Assignment => {
  const work = { kind: "train", step: stepNumber(step) } as const;
  return {
    type: "assignment",
    work,
    works: 1,
    epoch: 0,
    offset: 0,
    samples: SAMPLES,
    shards: SHARDS,
    nodes: [[0, SHARDS]],
  };
};

/** Parameters of a version: any numbers. */
function fill(pool: ComputePool, version: number): void {
  const bytes = pool.memory.parametersOf(version);
  const floats = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  floats.forEach((_, index) => (floats[index] = Math.sin(index + 1) / 4));
  pool.arrived(version);
}

/** The bits of the sum over the whole batch. */
const sumOf = (pool: ComputePool, step: number): Promise<string> =>
  new Promise((resolve) => {
    pool.compute(assignmentOf(step), (_work, { buffer }) => {
      resolve(Buffer.from(pool.memory.bytesOf("train", buffer)).toString("hex"));
      pool.release("train", buffer);
    });
  });

describe("a worker's pool", () => {
  it("gives the same bits with one thread, with three, and on the main thread", async () => {
    const plan = await planOf();
    const bitsOf = async (pool: ComputePool): Promise<readonly string[]> => {
      const fingerprint = await pool.fingerprint();
      fill(pool, 0);
      return [fingerprint, await sumOf(pool, 0)];
    };
    const expected = await bitsOf(await poolOf(plan, 1));
    expect(await bitsOf(await poolOf(plan, 3))).toEqual(expected);
    expect(await bitsOf(await poolOf(plan, 1, true))).toEqual(expected);
  });

  it.each([
    ["with two threads", 2],
    ["on the main thread", 1],
  ])("%s, made to forget, says nothing more of that work, and keeps no buffer, however often", async (_, threads) => {
    const plan = await planOf();
    const pool = await poolOf(plan, threads, true);
    await pool.fingerprint();
    fill(pool, 0);
    const expected = await sumOf(pool, 0);
    let said = 0;
    for (let time = 0; time < 60; time++) {
      // The same work each time, as after a reconnect.
      pool.compute(assignmentOf(0), (_work, { buffer }) => {
        said += 1;
        pool.release("train", buffer);
      });
      await sleep(time % 8);
      pool.forget();
      const before = said;
      await sleep(1);
      expect(said).toBe(before);
    }
    expect(await sumOf(pool, 0)).toBe(expected);
  });

  it("on the main thread lets its socket have a turn after each call of the engine", async () => {
    const pool = await poolOf(await planOf(), 1, true);
    await pool.fingerprint();
    fill(pool, 0);
    let turns = 0;
    let isOver = false;
    const turn = (): void => {
      turns += 1;
      if (!isOver) setImmediate(turn);
    };
    setImmediate(turn);
    await sumOf(pool, 0);
    isOver = true;
    expect(turns).toBeGreaterThanOrEqual(SHARDS - 1);
  });

  it("probes its arithmetic once, so that a reconnect cannot overwrite parameters that are in use", async () => {
    const pool = await poolOf(await planOf(), 1);
    const first = await pool.fingerprint();
    fill(pool, 0);
    const before = Buffer.from(pool.memory.parametersOf(0));
    expect(await pool.fingerprint()).toBe(first);
    expect(Buffer.from(pool.memory.parametersOf(0)).equals(before)).toBe(true);
  });
});
