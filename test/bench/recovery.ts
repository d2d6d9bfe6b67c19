/**
 * What faults cost: how long until the next step after a worker or the coordinator is killed, and what audits,
 * checkpoints and traces cost while nothing happens. Printed beside what Lockstep aims for.
 */
import { table } from "../../coordinator/cli/table.ts";
import { setTimeout as sleep } from "node:timers/promises";
import type { Benchmark } from "./benchmark.ts";
import { cluster } from "./cluster.ts";
import { alternate, percent, progress, shown, speedup, spread } from "./measure.ts";
import type { Spread } from "./measure.ts";
import { Service, workerNames } from "./service.ts";
import { titleOf } from "./workloads.ts";
import type { Workload } from "./workloads.ts";

const CHECKPOINT_EVERY = 100;
/** Steps between two faults, so that each meets a cluster at full speed. */
const QUIET_STEPS = 200;
const AUDITED = 0.02;
/** Long enough for workers to have slowed down in trying to connect. */
const LONG_OUTAGE = 10_000;

/** All in milliseconds. */
interface Kill {
  readonly untilLost: number;
  readonly fromLostToStep: number;
}

/** Kills one of three workers, again and again; from the kill to the coordinator's word, and from there to the next step. */
async function killWorkers(workload: Workload, count: number): Promise<Kill[]> {
  await using service = await Service.start(workload, 0);
  const { coordinator } = service;
  const kills: Kill[] = [];
  for (let from = 0; kills.length < count;) {
    progress(`worker killed, ${kills.length + 1} of ${count}`);
    const whole = await coordinator.next("step", from, (step) => step.workers === workerNames.length);
    const quiet = await coordinator.next("step", whole.index, ({ step }) => step >= whole.event.step + QUIET_STEPS);
    // Not always at the same moment of a step.
    await sleep((7 * kills.length) % 20);
    const victim = workerNames[kills.length % workerNames.length]!;
    const killed = performance.now();
    const gone = service.killWorker(victim);
    const lost = await coordinator.next("worker-lost", quiet.index, ({ worker }) => worker === victim);
    const step = await coordinator.next("step", lost.index);
    kills.push({ untilLost: lost.at - killed, fromLostToStep: step.at - lost.at });
    await gone;
    service.restartWorker(victim);
    from = step.index + 1;
  }
  return kills;
}

/** All in milliseconds. */
interface Restart {
  readonly untilListening: number;
  readonly fromListeningToStep: number;
}

/** Kills the coordinator and starts it again after an outage; from its start to its next step. */
async function restartCoordinator(workload: Workload, count: number, outage: number): Promise<Restart[]> {
  await using service = await Service.start(workload, CHECKPOINT_EVERY);
  const restarts: Restart[] = [];
  while (restarts.length < count) {
    progress(`coordinator killed, back after ${outage} ms, ${restarts.length + 1} of ${count}`);
    const whole = await service.coordinator.next("step", 0, (step) => step.workers === workerNames.length);
    await service.coordinator.next("step", whole.index, ({ step }) => step >= whole.event.step + QUIET_STEPS);
    await service.killCoordinator();
    await sleep(outage);
    const started = performance.now();
    service.restartCoordinator();
    const listening = await service.coordinator.next("listening", 0);
    if (listening.event.resumedAt === undefined) throw new Error("the coordinator began anew instead of going on");
    const step = await service.coordinator.next("step", listening.index);
    restarts.push({ untilListening: listening.at - started, fromListeningToStep: step.at - listening.at });
  }
  return restarts;
}

/** Milliseconds a step without any of them, with audits, with checkpoints and with a trace, in alternation. */
const overheads = (workload: Workload, workers: number, rounds: number) =>
  alternate(titleOf(workload), rounds, {
    plain: () => cluster(workload, workers),
    audit: () => cluster(workload, workers, { audit: AUDITED }),
    checkpoints: () =>
      cluster(workload, workers, { checkpoint: { everySteps: CHECKPOINT_EVERY, everySeconds: 0, keep: 3 } }),
    trace: () => cluster(workload, workers, {}, true),
  });

const milliseconds = (times: readonly number[], most?: number): string[] => {
  const measured = spread(times);
  const aim = most === undefined ? ["", ""] : [`at most ${most} ms`, measured.max <= most ? "met" : "missed"];
  return [`${times.length}`, `${shown(measured, 0)} ms`, ...aim];
};

const cost = (ratio: Spread, rounds: number, most?: number): string[] => {
  const range = `${(100 * (ratio.min - 1)).toFixed(1)}–${(100 * (ratio.max - 1)).toFixed(1)}`;
  const measured = `${(100 * (ratio.median - 1)).toFixed(1)} (${range}) % more time a step`;
  const aim = most === undefined ? ["", ""] : [`at most ${percent(most)}`, ratio.median - 1 <= most ? "met" : "missed"];
  return [`${rounds}`, measured, ...aim];
};

export const recovery: Benchmark = {
  about: "from a killed worker or coordinator to the next step; what audits, checkpoints and traces cost",
  workloads: ["S"],
  others: ["M", "L"],
  async run({ rounds, workers, workloads }) {
    const results = [];
    for (const workload of workloads) {
      const kills = await killWorkers(workload, 2 * rounds);
      const restarts = await restartCoordinator(workload, rounds, 0);
      const lateRestarts = await restartCoordinator(workload, rounds, LONG_OUTAGE);
      const { plain, audit, checkpoints, trace } = await overheads(workload, workers, rounds);
      const total = (restart: Restart): number => restart.untilListening + restart.fromListeningToStep;
      const restartRows = (outage: string, all: readonly Restart[]): string[][] => [
        [`coordinator restarted ${outage}, start to next step`, ...milliseconds(all.map(total), 2_000)],
        ["  start to listening", ...milliseconds(all.map((restart) => restart.untilListening))],
        ["  listening to next step", ...milliseconds(all.map((restart) => restart.fromListeningToStep))],
      ];
      console.log(`${titleOf(workload)}; faults among three workers, costs with ${workers}`);
      console.log(
        table([
          ["", "times", "median (min–max)", "aim", ""],
          [
            "worker killed, socket closed to next step",
            ...milliseconds(
              kills.map((kill) => kill.fromLostToStep),
              250,
            ),
          ],
          ["  kill to socket closed", ...milliseconds(kills.map((kill) => kill.untilLost))],
          ["  kill to next step", ...milliseconds(kills.map((kill) => kill.untilLost + kill.fromLostToStep))],
          ...restartRows("at once", restarts),
          ...restartRows(`after ${LONG_OUTAGE / 1000} s`, lateRestarts),
          [`audit of ${percent(AUDITED)}`, ...cost(speedup(plain, audit), rounds, 0.1)],
          [`checkpoint every ${CHECKPOINT_EVERY} steps`, ...cost(speedup(plain, checkpoints), rounds, 0.05)],
          ["trace", ...cost(speedup(plain, trace), rounds)],
        ]),
      );
      console.log("Times meet their aim where the longest does, costs where the median does.\n");
      results.push({ workload, kills, restarts, lateRestarts, plain, audit, checkpoints, trace });
    }
    return { results };
  },
};
