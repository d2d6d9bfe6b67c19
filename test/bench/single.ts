/** One process, a bare loop around the engine, against a coordinator and worker processes: what distribution costs. */
import type { Benchmark } from "./benchmark.ts";
import { advice, cluster } from "./cluster.ts";
import type { ClusterRound } from "./cluster.ts";
import { alternate, line, percent, shown, speedup, spread, stepTimes } from "./measure.ts";
import { oneProcess } from "./one-process.ts";
import { titleOf } from "./workloads.ts";

/** Where a distributed step's time goes. */
function sharesOf({ profile }: ClusterRound): string {
  const total = profile.compute + profile.reduce + profile.wire + profile.wait;
  const parts = {
    compute: profile.compute,
    "reduction and update": profile.reduce,
    "wire on the coordinator": profile.wire,
    waiting: profile.wait,
  };
  return Object.entries(parts)
    .map(([name, seconds]) => `${name} ${percent(seconds / total)}`)
    .join(", ");
}

export const single: Benchmark = {
  about: "one process against a coordinator and workers, and where a distributed step's time goes (default)",
  workloads: ["S", "M"],
  others: ["L"],
  async run({ rounds, workers, workloads }) {
    const results = [];
    for (const workload of workloads) {
      const title = titleOf(workload);
      const { alone, distributed } = await alternate(title, rounds, {
        alone: () => oneProcess(workload),
        distributed: () => cluster(workload, workers),
      });
      const many = stepTimes(distributed);
      const ratio = speedup(distributed, alone);
      const inEngine = spread(alone.map((round) => round.computeMilliseconds / round.millisecondsAStep)).median;
      console.log(`${title}, ms a step`);
      console.log(`${line("one process", stepTimes(alone), workload)}, ${percent(inEngine)} in the engine`);
      console.log(line(`coordinator + ${workers} workers`, many, workload));
      console.log(`  distributed, ${shown(ratio)} times the samples/s of one process`);
      const inTheMiddle = distributed.find((round) => round.millisecondsAStep === many.median)!;
      console.log(`  of a distributed step: ${sharesOf(inTheMiddle)}`);
      console.log(`  ${advice(distributed, workload, workers)}\n`);
      results.push({ workload, alone, distributed, speedup: ratio });
    }
    return { results };
  },
};
