/**
 * `npm run bench [-- --rounds N] [--workers N] [--json FILE]`: steps and samples a second of each workload in one
 * process against a coordinator and worker processes, in alternation, and where a distributed step's time goes. The
 * machine is named, medians are printed with their spread, and ratios are taken within a round.
 */
import { writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { cluster } from "./cluster.ts";
import type { ClusterRound } from "./cluster.ts";
import { singleProcess } from "./single.ts";
import type { SingleRound } from "./single.ts";
import { titleOf, workloads } from "./workloads.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    workers: { type: "string", default: "2" },
    json: { type: "string" },
  },
});
const rounds = Number(values.rounds);
const workers = Number(values.workers);

interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

function spread(numbers: readonly number[]): Spread {
  const sorted = numbers.toSorted((left, right) => left - right);
  return { median: sorted[Math.floor(sorted.length / 2)]!, min: sorted[0]!, max: sorted.at(-1) };
}

const shown = ({ median, min, max }: Spread): string => `${median.toFixed(2)} (${min.toFixed(2)}–${max.toFixed(2)})`;
const percent = (share: number): string => `${(100 * share).toFixed(0)} %`;

const machine = `${cpus()[0]!.model.trim()}, ${cpus().length} cores, Node ${process.version}`;
console.log(`${machine}; ${rounds} alternating rounds, ms a step as median (min–max)\n`);
const results = [];
for (const workload of workloads) {
  const single: SingleRound[] = [];
  const distributed: ClusterRound[] = [];
  for (let round = 0; round < rounds; round++) {
    single.push(await singleProcess(workload, Math.min(workload.steps, 400)));
    distributed.push(await cluster(workload, workers));
  }
  const one = spread(single.map((round) => round.millisecondsAStep));
  const many = spread(distributed.map((round) => round.millisecondsAStep));
  const ratio = spread(single.map((round, index) => round.millisecondsAStep / distributed[index]!.millisecondsAStep));
  const rate = (step: Spread): string =>
    `${(1000 / step.median).toFixed(0)} steps/s, ${((1000 * workload.batch) / step.median).toFixed(0)} samples/s`;
  // Of the round in the middle by time.
  const { profile } = distributed.find((round) => round.millisecondsAStep === many.median)!;
  const total = profile.compute + profile.reduce + profile.wire + profile.wait;
  const inEngine = spread(single.map((round) => round.computeMilliseconds / round.millisecondsAStep)).median;
  console.log(titleOf(workload));
  console.log(`  one process               ${shown(one)}   ${rate(one)}   ${percent(inEngine)} in the engine`);
  console.log(
    `  coordinator + ${workers} workers   ${shown(many)}   ${rate(many)}   ${shown(ratio)} times one process`,
  );
  console.log(
    `  of a distributed step: compute ${percent(profile.compute / total)}, reduction and update ${percent(profile.reduce / total)}, ` +
      `wire on the coordinator ${percent(profile.wire / total)}, waiting ${percent(profile.wait / total)}\n`,
  );
  results.push({ workload, workers, single, distributed, speedup: ratio });
}
if (values.json !== undefined) {
  writeFileSync(
    values.json,
    `${JSON.stringify({ machine, rounds, date: new Date().toISOString(), results }, null, 2)}\n`,
  );
}
