import { expect, it } from "vitest";
import type { Work } from "../../../coordinator/core/state.ts";
import { EngineReferee } from "../../../coordinator/exchange/referee.ts";
import { ComputePool } from "../../../shared/compute/pool.ts";
import { LockstepError } from "../../../shared/errors.ts";
import { vectorBytes } from "../../../shared/gradient/partial.ts";
import { stepNumber } from "../../../shared/ids.ts";
import { referencePool } from "../../fuzz/cluster.ts";
import { data, job } from "../../simulation/job.ts";
import { inlineThreads } from "../../support/inline-threads.ts";

const bytes = vectorBytes(job.layouts.parameters);
const parametersOf = (version: number): Uint8Array =>
  new Uint8Array(Float32Array.from({ length: bytes / 4 }, (_, index) => Math.sin(index + version) / 4).buffer);

const workAt = (step: number): Work => ({
  name: { kind: "train", step: stepNumber(step) },
  epoch: 0,
  offset: 0,
  samples: 12,
  shards: 5,
  openedAt: 0,
  disturbed: false,
  trusting: false,
  pieces: new Map(),
  unsettled: new Set(),
  left: 0,
});

/** What a worker's pool gives. */
async function expected(step: number, start: number, end: number): Promise<Uint8Array> {
  const pool = referencePool(job.plan);
  await pool.fingerprint();
  pool.memory.parametersOf(step).set(parametersOf(step));
  pool.arrived(step);
  return new Promise((resolve) => {
    const { name: work, epoch, offset, samples, shards } = workAt(step);
    const assignment = {
      type: "assignment",
      work,
      works: 1,
      epoch,
      offset,
      samples,
      shards,
      nodes: [[start, end]],
    } as const;
    pool.compute(assignment, (_work, { buffer }) => resolve(Uint8Array.from(pool.memory.bytesOf("train", buffer))));
  });
}

const fingerprint = (): Promise<string> => referencePool(job.plan).fingerprint();

it("gives a worker's bits, for questions that come together and parameters that change behind them", async () => {
  let opened = 0;
  const referee = new EngineReferee(() => {
    opened += 1;
    return referencePool(job.plan);
  });
  const parameters = parametersOf(0);
  const first = referee.sumOver(workAt(0), { start: 0, end: 4 }, parameters, await fingerprint());
  parameters.set(parametersOf(2));
  const second = referee.sumOver(workAt(2), { start: 4, end: 5 }, parameters, await fingerprint());
  expect(await first).toEqual(await expected(0, 0, 4));
  expect(await second).toEqual(await expected(2, 4, 5));
  expect(opened).toBe(1);
  await referee.close();
});

it("cannot tell where the run's arithmetic is another", async () => {
  const referee = new EngineReferee(() => referencePool(job.plan));
  expect(await referee.sumOver(workAt(0), { start: 0, end: 4 }, parametersOf(0), "0".repeat(64))).toBeUndefined();
});

it("says why its engine did not start, and tries again with the next question", async () => {
  let fails = true;
  const referee = new EngineReferee(() => {
    if (fails) throw new LockstepError("GRAPH_INVALID", "no memory");
    return referencePool(job.plan);
  });
  const ask = async (): Promise<Uint8Array | undefined> =>
    referee.sumOver(workAt(0), { start: 0, end: 4 }, parametersOf(0), await fingerprint());
  await expect(ask()).rejects.toThrow("no memory");
  fails = false;
  expect(await ask()).toEqual(await expected(0, 0, 4));
});

it.each([
  ["the probe", 1],
  ["a gradient", 2],
])(
  "says why its threads could not compute %s, and starts others with the next question",
  async (_, failing) => {
    let [opened, closed, runs] = [0, 0, 0];
    const referee = new EngineReferee((onFailure) => {
      opened += 1;
      const start = (...given: Parameters<typeof inlineThreads>): ReturnType<typeof inlineThreads> => {
        const threads = inlineThreads(...given);
        return {
          wake: () => threads.wake(),
          async run(tasks) {
            runs += 1;
            if (runs === failing) throw new Error("EIO: i/o error, read");
            return threads.run(tasks);
          },
          close() {
            closed += 1;
            return threads.close();
          },
        };
      };
      return new ComputePool(job.plan, 1, data, start, onFailure);
    });
    const ask = async (): Promise<Uint8Array | undefined> =>
      referee.sumOver(workAt(0), { start: 0, end: 4 }, parametersOf(0), await fingerprint());
    const [first, second] = [ask(), ask()];
    await expect(first).rejects.toThrow("EIO");
    expect(await second).toEqual(await expected(0, 0, 4));
    expect([opened, closed]).toEqual([2, 1]);
    await referee.close();
    expect(closed).toBe(2);
  },
  10_000,
);
