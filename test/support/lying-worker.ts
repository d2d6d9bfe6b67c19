/**
 * `node test/support/lying-worker.ts ws://HOST:PORT NAME bit|nan|torn STEP`: a worker as any other, whose sums are wrong from a
 * step on: one bit of the first value is another, or it is no number; or at every tenth step it has another checksum than was
 * said, as if it had been damaged in shared memory.
 */
import { ComputePool } from "../../shared/compute/pool.ts";
import { piscinaThreads } from "../../shared/compute/threads.ts";
import { systemClock } from "../../shared/clock.ts";
import { openData } from "../../shared/data/open.ts";
import type { DataSpec } from "../../shared/data/spec.ts";
import { readToken } from "../../shared/token.ts";
import { version } from "../../shared/version.ts";
import { coordinatorAddress } from "../../shared/address.ts";
import { connect } from "../../worker/client.ts";
import { WorkerRuntime } from "../../worker/runtime.ts";

const [address, name, lie, from] = process.argv.slice(2) as [string, string, "bit" | "nan" | "torn", string];

const runtime = new WorkerRuntime({
  settings: { name, version, threads: 1, patience: 60_000, token: readToken(undefined, process.env) },
  clock: systemClock,
  connect: (listener) => connect(coordinatorAddress(address), {}, listener),
  async openPool(plan) {
    const data = await openData(plan.data as DataSpec);
    const stepAt = new Map<number, number>();
    const pool = new ComputePool(plan, 1, data, (setup, onProgress) => {
      const threads = piscinaThreads(1)(setup, onProgress);
      return {
        async run(tasks) {
          const task = tasks[0]!;
          stepAt.set(task.outputs[0]!, task.step);
          // It is announced once it is spoiled, with the checksum of a lie.
          const results = await threads.run([{ ...task, announcement: undefined }]);
          const first = new Uint8Array(setup.memory.buffer, task.outputs[0], 4);
          if (task.step >= Number(from) && lie === "bit") first[0]! ^= 1;
          if (task.step >= Number(from) && lie === "nan") first.fill(0xff);
          return results;
        },
        wake: () => threads.wake(),
        close: () => threads.close(),
      };
    });
    const { memory } = pool;
    const checksumOf = memory.checksumOf.bind(memory);
    memory.checksumOf = (kind, buffer) => {
      const step = stepAt.get(buffer)!;
      const isTorn = lie === "torn" && kind === "train" && step >= Number(from) && step % 10 === 0;
      return (checksumOf(kind, buffer) ^ (isTorn ? 1 : 0)) >>> 0;
    };
    return pool;
  },
  random: Math.random,
  say: (_level, sentence) => console.error(sentence),
});

try {
  await runtime.finished;
} catch (error) {
  console.error(String(error));
  process.exitCode = 1;
}
