/**
 * How far a step is from the least that it can take on this machine: the processor time of bare onnxruntime on every worker's part
 * of the minibatch, and that of the exchange alone, shared out among the cores.
 */
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { table } from "../../coordinator/cli/table.ts";
import type { Benchmark } from "./benchmark.ts";
import { cluster } from "./cluster.ts";
import { alternate, shown, spread } from "./measure.ts";
import { measuredBy } from "./peer.ts";
import { exchanges } from "./wire.ts";
import { titleOf } from "./workloads.ts";
import type { Workload } from "./workloads.ts";

const program = fileURLToPath(new URL("floor/bare.ts", import.meta.url));

/** Milliseconds of processor time a step, of all processes together. They run at once, as workers do. */
async function bare({ name }: Workload, workers: number): Promise<number> {
  const peers = Array.from({ length: workers }, () =>
    measuredBy<{ cpuMilliseconds: number }>(process.execPath, [program, name, `${workers}`]),
  );
  return (await Promise.all(peers)).reduce((sum, { cpuMilliseconds }) => sum + cpuMilliseconds, 0);
}

export const floor: Benchmark = {
  about: "how far a step is from bare onnxruntime and the exchange alone, shared out among the cores",
  workloads: ["M", "L"],
  others: ["S"],
  async run({ rounds, workers, workloads }) {
    const cores = Math.min(workers, cpus().length);
    const results = [];
    for (const workload of workloads) {
      const measured = await alternate(titleOf(workload), rounds, {
        engine: () => bare(workload, workers),
        exchange: () => exchanges("sharedMemory", workload, workers),
        step: () => cluster(workload, workers),
      });
      const least = measured.engine.map(
        (engine, index) => (engine + measured.exchange[index]!.cpuMilliseconds) / cores,
      );
      const steps = measured.step.map(({ millisecondsAStep }) => millisecondsAStep);
      const rows = [
        [`bare onnxruntime, ${workers} processes`, shown(spread(measured.engine))],
        ["the exchange alone", shown(spread(measured.exchange.map(({ cpuMilliseconds }) => cpuMilliseconds)))],
        [`both, on ${cores} cores`, shown(spread(least))],
        ["a step", shown(spread(steps))],
        ["times that floor", shown(spread(steps.map((step, index) => step / least[index]!)))],
      ];
      console.log(`${titleOf(workload)}: milliseconds of processor time, and of a step`);
      console.log(`${table(rows)}\n`);
      results.push({ workload, ...measured, floor: least });
    }
    return { results };
  },
};
