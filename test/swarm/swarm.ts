/**
 * A run of many light workers with a real coordinator process, in which workers leave, are killed and join all the time. No
 * step begins with fewer workers than were asked for: that is the run's `minWorkers`, and some more are there for the
 * coming and going.
 */
import { LEFT } from "../../coordinator/core/membership.ts";
import type { RunEvent, RunResult } from "../../coordinator/events.ts";
import { Dice } from "../fuzz/dice.ts";
import type { Lockstep } from "../support/lockstep-process.ts";
import { Fleet } from "./fleet.ts";
import { STEPS_PER_EPOCH, writeJob } from "./job.ts";
import type { Job } from "./job.ts";
import { measured } from "./measurement.ts";
import type { Cluster, Measurement } from "./measurement.ts";
import { startCoordinator } from "./watched.ts";

/** Workers above the minimum: as many as go at a time. */
const SPARE = 8;
/** How often memory is measured; it takes a full collection in every process. */
const MEASUREMENTS = 8;

/** Where runs leave their files, and what ends their processes however they end. */
export interface Place {
  readonly folder: string;
  readonly cleanUp: AsyncDisposableStack;
}

export interface SwarmOptions {
  /** Training goes on with at least so many. */
  readonly workers: number;
  /** Processes that hold them. */
  readonly processes: number;
  readonly epochs: number;
  /** How often some go and others come, spread evenly over the steps. */
  readonly rounds: number;
  /** Whether parameters and gradients go through shared memory, or over the sockets. */
  readonly sharedMemory: boolean;
  readonly seed: number;
}

export interface SwarmReport {
  readonly result: RunResult;
  /** Seconds until all workers were ready that were started at once. */
  readonly gathering: number;
  /** The most workers that were ready at a time. */
  readonly most: number;
  readonly joined: number;
  /** How many workers went, by what the coordinator said of it. */
  readonly lost: { readonly left: number; readonly otherwise: number };
  /** The numbers of the steps, in the order they were committed. */
  readonly steps: readonly number[];
  readonly measurements: readonly Measurement[];
  /** Errors that workers ended with, and refusals and warnings of the coordinator. */
  readonly failures: readonly string[];
}

type EventOf<Type extends RunEvent["type"]> = Extract<RunEvent, { type: Type }>;
const eventsOf = <Type extends RunEvent["type"]>({ events }: Lockstep, type: Type): EventOf<Type>[] =>
  events.filter((event): event is EventOf<Type> => event.type === type);

/** Trains; rejects if the run does not end well. */
export async function runSwarm(
  place: Place,
  options: SwarmOptions,
  onMeasurement: (measurement: Measurement) => void = () => {},
): Promise<SwarmReport> {
  const { workers, processes, epochs, sharedMemory } = options;
  const cluster = await start(place, { name: "swarm", epochs, minWorkers: workers, sharedMemory }, processes);
  return Promise.race([disturbed(cluster, options, onMeasurement), cluster.fleet.broken]);
}

async function disturbed(
  cluster: Cluster,
  { workers, epochs, rounds, seed }: SwarmOptions,
  onMeasurement: (measurement: Measurement) => void,
): Promise<SwarmReport> {
  const { coordinator, fleet } = cluster;
  const begun = performance.now();
  fleet.start(workers + SPARE);
  await coordinator.event("worker-joined", (event) => event.workers === workers + SPARE);
  const gathering = (performance.now() - begun) / 1000;

  const dice = new Dice(seed);
  const measurements: Measurement[] = [];
  for (let round = 0; round < rounds; round++) {
    const at = Math.ceil(((round + 1) * epochs * STEPS_PER_EPOCH) / (rounds + 1));
    await coordinator.event("step", ({ step }) => step >= at);
    if (Math.floor((round * MEASUREMENTS) / rounds) >= measurements.length) {
      const measurement = await measured(cluster);
      measurements.push(measurement);
      onMeasurement(measurement);
    }
    // Early, so that most of what is measured comes after it.
    if (round === Math.floor(rounds / 8)) fleet.start(fleet.killProcess());
    else comeAndGo(cluster, dice);
  }
  const result = await coordinator.result();
  await fleet.close();

  const joins = eventsOf(coordinator, "worker-joined");
  const losses = eventsOf(coordinator, "worker-lost");
  const left = losses.filter(({ reason }) => reason === LEFT).length;
  const refused = [...eventsOf(coordinator, "refused"), ...eventsOf(coordinator, "warning")];
  return {
    result,
    gathering,
    most: Math.max(...joins.map((event) => event.workers)),
    joined: joins.length,
    lost: { left, otherwise: losses.length - left },
    steps: eventsOf(coordinator, "step").map(({ step }) => step),
    measurements,
    failures: [...fleet.failures, ...refused.map(({ code, message }) => `${code}: ${message}`)],
  };
}

/** The same run, undisturbed, with one worker. */
export async function runAlone(place: Place, epochs: number): Promise<RunResult> {
  const { coordinator, fleet } = await start(place, { name: "alone", epochs, minWorkers: 1, sharedMemory: true }, 1);
  fleet.start(1);
  const result = await Promise.race([coordinator.result(), fleet.broken]);
  await fleet.close();
  return result;
}

async function start({ folder, cleanUp }: Place, job: Job, processes: number): Promise<Cluster> {
  const coordinator = startCoordinator(await writeJob(folder, job));
  cleanUp.defer(() => coordinator.killAll());
  const { url } = await coordinator.event("listening");
  return { coordinator, fleet: cleanUp.adopt(new Fleet(url, processes), (fleet) => fleet.close()) };
}

/** Some workers leave, some are killed, and as many new ones start. */
function comeAndGo({ coordinator, fleet }: Cluster, dice: Dice): void {
  // One that vanishes before its proof counts as a failed join, of which an address has ten a minute.
  const there = new Set(eventsOf(coordinator, "worker-joined").map(({ worker }) => worker));
  const names = fleet.names.filter((name) => there.has(name));
  const count = Math.min(names.length, 2 + dice.below(SPARE - 1));
  const gone = Array.from({ length: count }, () => names.splice(dice.below(names.length), 1)[0]!);
  const leaving = 1 + dice.below(gone.length - 1);
  fleet.leave(gone.slice(0, leaving));
  fleet.kill(gone.slice(leaving));
  fleet.start(gone.length);
}
