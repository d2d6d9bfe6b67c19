/** Measures one run of an experiment: a coordinator in this process and its local workers, all there from the first step. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LockstepError } from "../../shared/errors.ts";
import type { RunEvent, RunProfile } from "../events.ts";
import { startRun } from "../run/run.ts";
import type { RunHandle } from "../run/run.ts";
import { configOf } from "./experiment.ts";
import type { Experiment, Point } from "./experiment.ts";

export interface Measurement {
  /** Times of the steps that were counted, without evaluations between them. */
  readonly millisecondsAStep: number;
  /** What a step's time went to, in milliseconds, seen from the coordinator; `wait` is the rest. */
  readonly parts: StepParts;
  /** Cores that the coordinator's process was busy on. */
  readonly coordinatorCores: number;
  /** Over sockets and through shared memory, to and from all workers. */
  readonly bytesAStep: number;
  readonly parameters: number;
  /** When the target was reached: steps, and seconds from the first step with evaluations. */
  readonly reached: { readonly steps: number; readonly seconds: number } | undefined;
  /** 0 to 1, of the last evaluation. */
  readonly testAccuracy: number | undefined;
}

export type StepParts = Readonly<Record<"compute" | "reduce" | "wire" | "wait", number>>;

/** Where the counted steps begin or end. */
interface Mark {
  readonly step: number;
  readonly profile: RunProfile;
  /** Milliseconds that went to steps up to here: of time, and of this process's CPU. */
  readonly stepping: number;
  readonly cpu: number;
}

/** Runs the point once. Undefined when `signal` ended it. Rejects when a worker was lost, as its time would be something else's. */
export async function measure(
  experiment: Experiment,
  point: Point,
  signal: AbortSignal,
): Promise<Measurement | undefined> {
  const runs = await mkdtemp(join(tmpdir(), "lockstep-scale-"));
  const watch = new Watch(experiment, point);
  try {
    const run = await startRun({
      config: configOf(experiment, point, runs),
      resume: false,
      localWorkers: point.workers,
      onEvent: (event) => watch.event(event, () => run),
    });
    const stop = (): void => run.stop();
    signal.addEventListener("abort", stop, { once: true });
    if (signal.aborted) stop();
    const result = await run.finished;
    signal.removeEventListener("abort", stop);
    if (signal.aborted) return undefined;
    return watch.measurement(result.testAccuracy);
  } finally {
    await rm(runs, { recursive: true, force: true });
  }
}

/** Follows a run by its events and ends it when it has seen enough. */
class Watch {
  readonly #experiment: Experiment;
  readonly #point: Point;
  readonly #warmUp: number;
  #lost: string | undefined;
  #parameters = 0;
  #startedAt: number | undefined;
  /** Time and CPU at the last event that ended a step or an evaluation. */
  #last = { now: 0, cpu: 0 };
  #stepping = 0;
  #cpu = 0;
  #begin: Mark | undefined;
  #end: Mark | undefined;
  #reached: Measurement["reached"];

  constructor(experiment: Experiment, point: Point) {
    this.#experiment = experiment;
    this.#point = point;
    // A run to a target may be over sooner.
    this.#warmUp = experiment.target === undefined ? Math.max(2, Math.ceil(experiment.steps / 10)) : 2;
  }

  /** @param run the run itself, for events of its steps */
  event(event: RunEvent, run: () => RunHandle): void {
    const { target, steps } = this.#experiment;
    const now = performance.now();
    const last = this.#last;
    switch (event.type) {
      case "listening":
        this.#parameters = event.parameters;
        return;
      case "worker-joined":
        this.#startedAt = now;
        return;
      case "worker-lost":
        if (this.#end !== undefined && target === undefined) return;
        this.#lost = `${event.worker} was lost: ${event.reason}`;
        run().stop();
        return;
      case "step": {
        this.#last = { now, cpu: cpuMilliseconds() };
        if (event.step > 1) {
          this.#stepping += now - last.now;
          this.#cpu += this.#last.cpu - last.cpu;
        }
        if (event.step < this.#warmUp) return;
        if (event.step === this.#warmUp) this.#begin = this.#mark(event.step, run());
        else if (target !== undefined || event.step === this.#warmUp + steps) this.#end = this.#mark(event.step, run());
        if (target === undefined && event.step >= this.#warmUp + steps) run().stop();
        return;
      }
      case "epoch":
        // What an evaluation took belongs to no step.
        this.#last = { now, cpu: cpuMilliseconds() };
        if (target === undefined || this.#reached !== undefined || (event.testAccuracy ?? 0) < target) return;
        this.#reached = { steps: this.#end?.step ?? 0, seconds: (now - this.#startedAt!) / 1000 };
        run().stop();
        return;
      default:
    }
  }

  measurement(testAccuracy: number | undefined): Measurement {
    const [begin, end] = [this.#begin, this.#end];
    if (this.#lost !== undefined || begin === undefined || end === undefined) {
      const why = this.#lost ?? "it ended before a step was timed: give the job more epochs";
      const { workers, batch } = this.#point;
      throw new LockstepError(
        "WORKERS_EXHAUSTED",
        `the run with ${workers} workers at batch ${batch} cannot be used: ${why}`,
        "see that nothing else ends processes on this machine, and start the experiment again",
      );
    }
    const steps = end.step - begin.step;
    const of = (part: (profile: RunProfile) => number): number => (part(end.profile) - part(begin.profile)) / steps;
    const [compute, reduce, wire] = [of((all) => all.compute), of((all) => all.reduce), of((all) => all.wire)].map(
      (seconds) => 1000 * seconds,
    ) as [number, number, number];
    const milliseconds = end.stepping - begin.stepping;
    return {
      millisecondsAStep: milliseconds / steps,
      parts: { compute, reduce, wire, wait: Math.max(0, milliseconds / steps - compute - reduce - wire) },
      coordinatorCores: (end.cpu - begin.cpu) / milliseconds,
      bytesAStep: of(({ bytesSent, bytesReceived, bytesShared }) => bytesSent + bytesReceived + bytesShared),
      parameters: this.#parameters,
      reached: this.#reached,
      testAccuracy,
    };
  }

  #mark(step: number, run: RunHandle): Mark {
    return { step, profile: run.profile(), stepping: this.#stepping, cpu: this.#cpu };
  }
}

function cpuMilliseconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
