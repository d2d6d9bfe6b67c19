/**
 * How cost grows with the work: what a step costs with more and more light workers, and with larger and larger networks on
 * worker processes; what memory they take; and whether any of it grows over a long run.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { lineChart } from "../../coordinator/charts/line-chart.ts";
import type { Benchmark } from "./benchmark.ts";
import { withLightWorkers, withWorkers } from "./growth/cluster.ts";
import { longRun, printLongRun } from "./growth/long-run.ts";
import { observe } from "./growth/observe.ts";
import type { Observed } from "./growth/observe.ts";
import { chartOf, printMemory, printRows, slopes } from "./growth/report.ts";
import type { Row } from "./growth/report.ts";
import { progress } from "./measure.ts";
import { parametersOf } from "./workloads.ts";
import type { Workload } from "./workloads.ts";

const WORKERS = [1, 2, 4, 8, 16, 32];
/** Units of two hidden layers between 784 and 10: 10 thousand to 20 million parameters. */
const UNITS = [12, 40, 110, 250, 680, 1_500, 2_600, 4_096];
/** With a small minibatch a step is about its parameters. */
const BATCH = 64;
/** The smallest network for which the slope is asked: below, a step's time is that of its messages. */
const LARGE = 1_000_000;

/** Watches every size once a round, so that what else the machine does hits all. */
async function rowsOf(
  what: string,
  sizes: readonly number[],
  rounds: number,
  once: (size: number) => Promise<Observed>,
): Promise<Row[]> {
  const rows = sizes.map((x): Row => ({ x, rounds: [] }));
  for (let round = 1; round <= rounds; round++) {
    for (const { x, rounds: seen } of rows) {
      progress(`${what}, round ${round} of ${rounds}: ${x.toLocaleString("en-US")}`);
      seen.push(await once(x));
    }
  }
  progress("");
  return rows;
}

const workloadOf = (units: number): Workload => {
  const widths = [784, units, units, 10];
  // About 4 s each on two cores, and never so few that a hundredth of a second of processor time counts.
  const steps = Math.max(40, Math.min(1_000, Math.round(1e9 / (units * (784 + units)))));
  return { name: "growth", widths, batch: BATCH, steps };
};

const byWorkers = (rounds: number): Promise<Row[]> =>
  rowsOf("light workers", WORKERS, rounds, (workers) =>
    withLightWorkers(workers, (coordinator, fleet) =>
      observe(coordinator, fleet.pids[0]!, { from: 40, to: 240, workers }),
    ),
  );

const byParameters = (rounds: number, workers: number): Promise<Row[]> => {
  const sized = new Map(UNITS.map((units) => [parametersOf(workloadOf(units)), workloadOf(units)]));
  return rowsOf("parameters", [...sized.keys()], rounds, (parameters) => {
    const { steps } = sized.get(parameters)!;
    return withWorkers(sized.get(parameters)!, workers, (coordinator, [worker]) =>
      observe(coordinator, worker!.process.pid!, { from: Math.round(steps / 5), to: steps, workers }),
    );
  });
};

export const growth: Benchmark = {
  about: "what 1 to 32 workers and 10 thousand to 20 million parameters cost, in time and memory",
  workloads: ["S"],
  async run({ rounds, workers, svg }) {
    const workerRows = await byWorkers(rounds);
    printRows("1 to 32 light workers", workerRows);
    const aWorker = slopes(workerRows);
    console.log(
      `  each worker more: ${(1000 * aWorker.processor).toFixed(0)} µs of the coordinator's processor a step, ${(1000 * aWorker.step).toFixed(0)} µs of the step\n`,
    );
    const parameterRows = await byParameters(rounds, workers);
    printRows(`784 to 10 with two hidden layers, ${workers} worker processes, minibatches of ${BATCH}`, parameterRows);
    const aParameter = slopes(parameterRows.filter(({ x }) => x >= LARGE));
    console.log(
      `  from ${LARGE.toLocaleString("en-US")} parameters on, each million more: ${(1e6 * aParameter.processor).toFixed(2)} ms of the coordinator's processor a step, ${(1e6 * aParameter.step).toFixed(2)} ms of the step\n`,
    );
    printMemory(parameterRows);
    const long = await longRun(workers);
    printLongRun(long, workers);
    if (svg !== undefined) {
      mkdirSync(svg, { recursive: true });
      const plots = {
        "workers.svg": chartOf("What a step costs with more light workers", "workers", "log2", workerRows),
        "parameters.svg": chartOf(
          `What a step costs with more parameters, ${workers} workers`,
          "parameters",
          "log10",
          parameterRows,
        ),
      };
      for (const [name, chart] of Object.entries(plots)) writeFileSync(join(svg, name), lineChart(chart));
    }
    return { results: { workers: workerRows, parameters: parameterRows, slopes: { aWorker, aParameter }, long } };
  },
};
