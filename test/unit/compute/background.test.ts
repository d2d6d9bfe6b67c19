/** A worker's thread that has the socket lets others go first when it is woken, but where parameters come over it for others. */
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it, onTestFinished } from "vitest";
import { ComputePool } from "../../../shared/compute/pool.ts";
import { operatingSystem } from "../../../shared/system.ts";
import { regressionPlan } from "../../support/regression-plan.ts";

const OTHER = 0;
const BATCH = 3;

/** The scheduling policy of a thread of this process: the 41st field of its status (proc_pid_stat(5)), of which the 2nd has blanks. */
const policyOf = (path: string): number =>
  Number(
    readFileSync(`/proc/${path}/stat`, "utf8")
      .replace(/^.*\) /, "")
      .split(" ")[38],
  );

const inTheBackground = (): string[] =>
  readdirSync("/proc/self/task").filter((thread) => policyOf(`self/task/${thread}`) === BATCH);

async function open(threads: number, isApart = true): Promise<ComputePool> {
  const plan = await regressionPlan({ samples: 64, batch: 32, shards: 2, layers: [{ kind: "dense", units: 1 }] });
  const pool = await ComputePool.open(plan, threads, isApart);
  // By then all of them are at work.
  await pool.fingerprint();
  return pool;
}

describe.runIf(operatingSystem() !== undefined)("in the background", () => {
  it("is the thread of the socket alone where memory is shared, until the pool closes", async () => {
    const pool = await open(2, false);
    expect(policyOf("thread-self")).toBe(BATCH);
    expect(inTheBackground()).toHaveLength(1);
    await pool.close();
    expect(inTheBackground()).toEqual([]);
  });

  it("is no thread where others than the socket's compute and parameters come over it", async () => {
    const pool = await open(2);
    expect(inTheBackground()).toEqual([]);
    await pool.close();
  });

  it("is the thread of the socket, where it computes, until the pool closes", async () => {
    const pool = await open(1);
    expect(policyOf("thread-self")).toBe(BATCH);
    expect(inTheBackground()).toHaveLength(1);
    await pool.close();
    expect(inTheBackground()).toEqual([]);
  });

  it("stays a thread that was there before its pool was opened", async () => {
    const scheduleAs = (policy: number): unknown => operatingSystem()!.sched_setscheduler(0, policy, Int32Array.of(0));
    onTestFinished(() => void scheduleAs(OTHER));
    scheduleAs(BATCH);
    const pool = await open(1);
    await pool.close();
    expect(policyOf("thread-self")).toBe(BATCH);
  });
});
