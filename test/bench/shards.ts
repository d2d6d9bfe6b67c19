/** What it costs to cut a minibatch into more shards, or fewer: each number against the default, in the same rounds. */
import { table } from "../../coordinator/cli/table.ts";
import type { Benchmark } from "./benchmark.ts";
import { cluster } from "./cluster.ts";
import { alternate, shown, spread, stepTimes } from "./measure.ts";
import { titleOf } from "./workloads.ts";

const COUNTS = [1, 2, 4, 8, 16, 32] as const;
const DEFAULT = 8;

export const shards: Benchmark = {
  about: "coordinator and workers with 1 to 32 shards, against the default of 8",
  workloads: ["S", "M"],
  async run({ rounds, workers, workloads }) {
    const results = [];
    for (const workload of workloads) {
      const title = titleOf(workload);
      const contenders = COUNTS.map(
        (count) => [`${count}`, () => cluster(workload, workers, { shards: count })] as const,
      );
      const measured = await alternate(title, rounds, Object.fromEntries(contenders));
      const usual = measured[`${DEFAULT}`]!;
      const points = COUNTS.map((count) => {
        const timed = measured[`${count}`]!;
        const times = timed.map((round, index) => round.millisecondsAStep / usual[index]!.millisecondsAStep);
        return { shards: count, rounds: timed, millisecondsAStep: stepTimes(timed), timesTheDefault: spread(times) };
      });
      console.log(`${title}, coordinator + ${workers} workers`);
      const rows = points.map((point) => [
        `  ${point.shards}`,
        shown(point.millisecondsAStep),
        shown(point.timesTheDefault),
      ]);
      console.log(`${table([["  shards", "ms a step", `times that of ${DEFAULT}`], ...rows])}\n`);
      results.push({ workload, points });
    }
    return { results };
  },
};
