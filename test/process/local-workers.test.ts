/** The worker processes that a run starts itself, when they cannot start at all. */
import { expect, test } from "vitest";
import { startLocalWorkers } from "../../coordinator/local-workers.ts";
import type { LockstepError } from "../../shared/errors.ts";
import { JoinToken } from "../../shared/protocol/handshake.ts";

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
