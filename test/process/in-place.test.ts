/** A run and a worker of it in one process, with a real socket between them: what is long comes to where it is used. */
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { configFromObject } from "../../coordinator/config/resolve.ts";
import { startRun } from "../../coordinator/run/run.ts";
import { coordinatorAddress } from "../../shared/address.ts";
import { systemClock } from "../../shared/clock.ts";
import { ComputePool } from "../../shared/compute/pool.ts";
import { Assembly } from "../../shared/protocol/assembly.ts";
import { CHUNK_BYTES } from "../../shared/protocol/frame-reader.ts";
import { JoinToken } from "../../shared/protocol/handshake.ts";
import { version } from "../../shared/version.ts";
import { connect } from "../../worker/client.ts";
import { dataOf } from "../../worker/data.ts";
import { WorkerRuntime } from "../../worker/runtime.ts";
import { temporaryFolder } from "../support/files.ts";
import { writeMnistPart } from "../support/mnist.ts";

test("parameters and partials over the socket of one host are not copied to their vectors", async () => {
  const folder = await temporaryFolder();
  await writeMnistPart(folder, 640, 100);
  const take: Assembly["take"] = Reflect.get(Assembly.prototype, "take");
  const seen = { inPlace: 0, copied: 0 };
  vi.spyOn(Assembly.prototype, "take").mockImplementation(function (this: Assembly, segment, section) {
    // Vectors are in shared memory, and buffers that are used again and again are not.
    if (section.length > CHUNK_BYTES) seen[section.buffer instanceof SharedArrayBuffer ? "inPlace" : "copied"] += 1;
    return take.call(this, segment, section);
  });
  onTestFinished(() => void vi.restoreAllMocks());
  const config = {
    data: { kind: "idx", path: folder } as const,
    runs: join(folder, "runs"),
    batch: 64,
    epochs: 2,
    sharedMemory: false,
  };
  const run = await startRun({ config: configFromObject(config), resume: false, localWorkers: 0 });
  const address = coordinatorAddress(run.url);
  const source = { address, tls: {}, token: JoinToken.none, signal: new AbortController().signal };
  const worker = new WorkerRuntime({
    settings: { name: "here", version, threads: 1, patience: 10_000, token: JoinToken.none },
    clock: systemClock,
    connect: (listener) => connect(address, {}, listener),
    openPool: (plan, isApart) => ComputePool.open(plan, 1, isApart, () => dataOf(plan, source, process.env, () => {})),
    random: Math.random,
    say: () => {},
  });
  const { outcome, steps } = await run.finished;
  await worker.finished;
  expect([outcome, steps]).toEqual(["completed", 20]);
  // A segment each way a step at least, and parameters for evaluations.
  expect(seen.copied).toBe(0);
  expect(seen.inPlace).toBeGreaterThanOrEqual(2 * steps);
});
