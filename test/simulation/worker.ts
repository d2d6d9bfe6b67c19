/** A simulated worker process: the production runtime and pool, on a virtual clock and network, with simulated threads. */
import type { LockstepError } from "../../shared/errors.ts";
import { JoinToken } from "../../shared/protocol/handshake.ts";
import { ComputePool } from "../../shared/compute/pool.ts";
import { WorkerRuntime } from "../../worker/runtime.ts";
import { data, job } from "./job.ts";
import type { Ledger } from "./ledger.ts";
import type { Network } from "./network.ts";
import type { SimulatedProcess } from "./process.ts";
import type { WorkerPart } from "./schedule.ts";
import { SimulatedThreads } from "./threads.ts";
import type { Speed } from "./threads.ts";

/** Milliseconds without a coordinator after which a worker gives up; longer than any fault lasts. */
const PATIENCE = 300_000;

/** Starts a worker in a process; `ended` is told how it ended. */
export function startWorker(
  process: SimulatedProcess,
  { name, joinsAs = name, threads, lies }: WorkerPart,
  speed: Speed,
  { network, ledger }: { readonly network: Network; readonly ledger: Ledger },
  ended: (error: LockstepError | undefined) => void,
): WorkerRuntime {
  const { world } = process;
  const runtime = new WorkerRuntime({
    settings: { name: joinsAs, version: job.settings.version, threads, patience: PATIENCE, token: JoinToken.none },
    clock: process,
    connect: (listener) => network.connect(process, listener),
    async openPool(plan) {
      // Reading the data takes a while.
      await new Promise<void>((resolve) => process.after(world.between(1, 400), resolve));
      return new ComputePool(
        plan,
        threads,
        data,
        (setup, onProgress) => new SimulatedThreads(process, setup, onProgress, threads, speed, ledger, lies),
      );
    },
    random: () => world.random(),
    say: (_level, sentence) => {
      world.tell?.(`${name}: ${sentence}`);
      if (!network.hasDamaged && sentence.includes("damaged"))
        world.fail(new Error(`${name} is sent what is damaged, though nothing has damaged it: ${sentence}`));
    },
  });
  runtime.finished.then(
    () => ended(undefined),
    (error: LockstepError) => ended(error),
  );
  return runtime;
}
