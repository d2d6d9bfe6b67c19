/** The worker processes that a run starts itself: where they run, and when they cannot start at all. */
import { readFileSync, readdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { afterEach, describe, expect, test } from "vitest";
import { startLocalWorkers } from "../../coordinator/local-workers.ts";
import type { LockstepError } from "../../shared/errors.ts";
import type { LocalWorkers } from "../../coordinator/local-workers.ts";
import { JoinToken } from "../../shared/protocol/handshake.ts";
import { operatingSystem } from "../../shared/memory/system.ts";

test("a local worker that ends again and again ends the run with what it said last", async () => {
  const { promise, resolve } = Promise.withResolvers<LockstepError>();
  const workers = startLocalWorkers({ url: "nowhere", token: JoinToken.none, threads: 1 }, 1, resolve);
  const error = await promise;
  await workers.close();
  expect(error.code).toBe("WORKERS_EXHAUSTED");
  expect(error.message).toMatch(
    /local worker worker-1 ended 4 times in a row, last with exit code 1: error: "nowhere"/,
  );
  expect(error.hint).toContain("--resume");
});

test("a quarantined local worker is not started again; with the last one the run ends", async () => {
  const { promise, resolve } = Promise.withResolvers<LockstepError>();
  const options = { url: "ws://127.0.0.1:9", token: JoinToken.none, threads: 1 };
  const workers = startLocalWorkers(options, 2, resolve);
  workers.abandon("worker-1");
  workers.abandon("somebody else");
  workers.abandon("worker-2");
  const error = await promise;
  await workers.close();
  expect(error.code).toBe("WORKERS_EXHAUSTED");
  expect(error.message).toBe("every local worker sent wrong gradients, and none is left to compute");
});

/** The processors that a thread of this machine may run on, as the system lists them. */
const processorsOf = (path: string): string =>
  /^Cpus_allowed_list:\s*(.*)$/m.exec(readFileSync(`/proc/${path}/status`, "utf8"))![1]!;

/** The lists of all processes that threads of this one have started. */
const processorsOfChildren = (): string[] =>
  readdirSync("/proc/self/task")
    .flatMap((thread) => readFileSync(`/proc/self/task/${thread}/children`, "utf8").split(" "))
    .filter((pid) => pid.trim() !== "")
    .map(processorsOf);

const processors = availableParallelism();
const canChoose = operatingSystem() !== undefined && processors > 1;

describe.runIf(canChoose)("local workers run on", () => {
  let workers: LocalWorkers;
  afterEach(() => workers.close());

  /** The processors of each of `count` workers with one compute thread. */
  const whereRun = (count: number): string[] => {
    const before = processorsOf("thread-self");
    workers = startLocalWorkers({ url: "nowhere", token: JoinToken.none, threads: 1 }, count, () => {});
    expect(processorsOf("thread-self")).toBe(before);
    return processorsOfChildren();
  };

  test("a processor each if they are as many as the processors", () => {
    const lists = whereRun(processors);
    expect(lists).toHaveLength(processors);
    expect(new Set(lists).size).toBe(processors);
    for (const list of lists) expect(list).toMatch(/^\d+$/);
  });

  test.each([
    ["fewer", processors - 1],
    ["more", processors + 1],
  ])("any processor if they are %s", (_, count) => {
    expect(whereRun(count)).toEqual(Array.from({ length: count }, () => processorsOf("thread-self")));
  });
});
