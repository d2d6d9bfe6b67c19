/** The worker processes that a run starts itself: where they run, and when they cannot start at all. */
import { fork } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { afterEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { startLocalWorkers } from "../../coordinator/local-workers/local-workers.ts";
import type { LockstepError } from "../../shared/errors.ts";
import type { LocalWorkers } from "../../coordinator/local-workers/local-workers.ts";
import { JoinToken } from "../../shared/protocol/handshake.ts";
import { hasLimits, lowerFileLimit } from "../support/file-limit.ts";
import { temporaryFolder } from "../support/files.ts";
import { asEvents, lockstep, worker } from "../support/lockstep.ts";
import { canChoose, processorsOf } from "../support/processors.ts";

vi.mock("node:child_process", { spy: true });

test("a local worker that ends again and again ends the run with what it said last", async () => {
  const { promise, resolve } = Promise.withResolvers<LockstepError>();
  const workers = startLocalWorkers({ url: "nowhere", token: JoinToken.none, threads: 1 }, 1, resolve);
  const error = await promise;
  await workers.close();
  expect(error.code).toBe("WORKERS_EXHAUSTED");
  expect(error.message).toMatch(
    /local worker worker-1 ended 4 times in a row, last with exit code 2: error: "nowhere"/,
  );
  expect(error.hint).toContain("--resume");
});

test.runIf(hasLimits)("a local worker for which there are no files left is tried again and again", async () => {
  const restored = await lowerFileLimit(() => 3, 5);
  const { promise, resolve } = Promise.withResolvers<LockstepError>();
  const workers = startLocalWorkers({ url: "nowhere", token: JoinToken.none, threads: 1 }, 1, resolve);
  const error = await promise;
  await workers.close();
  await restored();
  expect(error.message).toMatch(/worker-1 ended 4 times in a row, last before it began: spawn .* EMFILE/);
});

test("a local worker for which there is no memory left is tried again and again", async () => {
  const { promise, resolve } = Promise.withResolvers<LockstepError>();
  const starting = vi.mocked(fork).mockImplementation(() => {
    throw Object.assign(new Error("spawn ENOMEM"), { code: "ENOMEM" });
  });
  onTestFinished(() => void starting.mockReset());
  const workers = startLocalWorkers({ url: "nowhere", token: JoinToken.none, threads: 1 }, 1, resolve);
  const error = await promise;
  await workers.close();
  expect(error.code).toBe("WORKERS_EXHAUSTED");
  expect(error.message).toBe("local worker worker-1 ended 4 times in a row, last before it began: spawn ENOMEM");
});

test("of quarantined workers it is known which one was the last of the local ones", async () => {
  const options = { url: "ws://127.0.0.1:9", token: JoinToken.none, threads: 1 };
  const workers = startLocalWorkers(options, 2, () => {});
  const abandoned = ["worker-1", "somebody else", "worker-2"].map((name) => workers.abandon(name));
  await workers.close();
  expect(abandoned).toEqual([false, false, true]);
});

test("a worker from elsewhere with the name of a local one is refused, and the local one trains on", async () => {
  const runs = await temporaryFolder();
  const job = ["--epochs", "1000000", "--layers", "784,4,10", "--workers", "1", "--name", "run", "--runs", runs];
  const run = lockstep(["train", ...job, ...asEvents]);
  const { url } = await run.event("listening");
  await run.event("worker-joined");
  const other = worker([url, "--name", "worker-1"]);
  expect(await other.finished).toMatchObject({ code: 1, stderr: expect.stringContaining("[NAME_TAKEN]") });
  expect(await run.event("refused")).toMatchObject({ worker: "worker-1", code: "NAME_TAKEN" });
  const { step } = await run.event("step");
  await run.event("step", (event) => event.step > step + 10);
  run.process.kill("SIGINT");
  expect(await run.result()).toMatchObject({ outcome: "stopped" });
  await run.finished;
});

/** Processes that threads of this one have started. */
const children = (): string[] =>
  readdirSync("/proc/self/task")
    .flatMap((thread) => readFileSync(`/proc/self/task/${thread}/children`, "utf8").split(" "))
    .filter((pid) => pid.trim() !== "");

/** How many processors a list like 0-3,8 has. */
const lengthOf = (list: string): number =>
  list.split(",").reduce((sum, range) => {
    const [first, last = first] = range.split("-");
    return sum + Number(last) - Number(first) + 1;
  }, 0);

const processors = availableParallelism();
/** A container may keep fewer busy than it has. */
const mayUseAll = canChoose && lengthOf(processorsOf()) === processors;

// A process is started for each processor.
describe.runIf(mayUseAll && processors <= 16)("local workers run on", () => {
  let workers: LocalWorkers | undefined;
  afterEach(() => workers?.close());

  /** Starts `count` workers with one compute thread, which end at once and are started again. */
  const start = (count: number): void => {
    const before = processorsOf();
    workers = startLocalWorkers({ url: "nowhere", token: JoinToken.none, threads: 1 }, count, () => {});
    expect(processorsOf()).toBe(before);
  };

  test("a processor each if they are as many as the processors, also when they are started again", async () => {
    start(processors);
    /** Where each process ran that was seen. */
    const lists = new Map(children().map((pid) => [pid, processorsOf(pid)]));
    expect(lists.size).toBe(processors);
    expect(new Set(lists.values()).size).toBe(processors);
    await vi.waitFor(
      () => {
        for (const pid of children()) lists.set(pid, processorsOf(pid));
        const counts = Object.values(Object.groupBy(lists.values(), (list) => list)).map((each) => each!.length);
        expect(Math.min(...counts)).toBeGreaterThan(1);
      },
      { timeout: 20_000, interval: 20 },
    );
    expect(new Set(lists.values()).size).toBe(processors);
    for (const list of lists.values()) expect(list).toMatch(/^\d+$/);
  }, 30_000);

  test.each([
    ["fewer", processors - 1],
    ["more", processors + 1],
  ])("any processor if they are %s", (_, count) => {
    start(count);
    expect(children().map((pid) => processorsOf(pid))).toEqual(Array.from({ length: count }, () => processorsOf()));
  });
});
