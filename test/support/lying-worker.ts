/**
 * `node test/support/lying-worker.ts ws://HOST:PORT NAME bit|nan STEP`: a worker as any other, whose sums are wrong from a
 * step on: one bit of the first value is another, or it is no number.
 */
import { ComputePool } from "../../shared/compute/pool.ts";
import { piscinaThreads } from "../../shared/compute/threads.ts";
import { systemClock } from "../../shared/clock.ts";
import { openData } from "../../shared/data/open.ts";
import type { DataSpec } from "../../shared/data/spec.ts";
import { JoinToken } from "../../shared/protocol/handshake.ts";
import { version } from "../../shared/version.ts";
import { coordinatorAddress } from "../../shared/address.ts";
import { connect } from "../../worker/client.ts";
import { WorkerRuntime } from "../../worker/runtime.ts";

const [address, name, lie, from] = process.argv.slice(2) as [string, string, "bit" | "nan", string];

const runtime = new WorkerRuntime({
  settings: { name, version, threads: 1, patience: 60_000, token: JoinToken.none },
  clock: systemClock,
  connect: (listener) => connect(coordinatorAddress(address), {}, listener),
  async openPool(plan) {
    const data = await openData(plan.data as DataSpec);
    return new ComputePool(plan, 1, data, (setup) => {
      const threads = piscinaThreads(1)(setup);
      return {
        async run(task) {
          // It is announced once it is spoiled, with the checksum of a lie.
          const result = await threads.run({ ...task, announcement: undefined });
          const first = new Uint8Array(setup.memory.buffer, task.output, 4);
          if (task.step >= Number(from) && lie === "bit") first[0]! ^= 1;
          if (task.step >= Number(from) && lie === "nan") first.fill(0xff);
          return result;
        },
        wake: () => threads.wake(),
        close: () => threads.close(),
      };
    });
  },
  random: Math.random,
  say: (sentence) => console.error(sentence),
});

try {
  await runtime.finished;
} catch (error) {
  console.error(String(error));
  process.exitCode = 1;
}
