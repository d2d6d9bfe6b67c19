/**
 * `/metrics` for Prometheus. What the run's state holds is read when someone asks; only what it forgets is counted as it
 * happens, so that a step costs nothing. Names follow Prometheus' rules: base units, `_total` for counters.
 */
import { collectDefaultMetrics, Counter, Gauge, Registry } from "prom-client";
import { version } from "../../shared/version.ts";
import { samplesIn } from "../core/epochs.ts";
import { readyMembers } from "../core/state.ts";
import type { RunEvent } from "../events.ts";
import type { Pages } from "../server/edge.ts";
import type { RunView } from "./view.ts";

export function metricsPage(run: RunView): (pages: Pages) => void {
  const registry = new Registry();
  registry.setDefaultLabels({ run: run.config.name });
  processMetrics(registry);
  stateMetrics(registry, run);
  eventMetrics(registry, run);
  return (pages) =>
    pages.get("/metrics", async (context) =>
      context.body(await registry.metrics(), 200, { "content-type": registry.contentType }),
    );
}

/** In milliseconds, longer than any run. */
const NEVER = 2 ** 31 - 1;
const SAMPLED = ["min", "max", "mean", "stddev", "p50", "p90", "p99"];

/**
 * What prom-client tells of a process, but for how late the event loop was over time: for that a timer would wake this thread 100 times
 * a second, each time on a processor that computes. How late it is when asked is told.
 */
function processMetrics(registry: Registry): void {
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: NEVER });
  for (const statistic of SAMPLED) registry.removeSingleMetric(`nodejs_eventloop_lag_${statistic}_seconds`);
}

type AddGauge = (name: string, help: string, read: () => number | undefined) => void;

/** Gauges that are read when asked for. What is not known yet is left out. */
const gaugesIn =
  (registry: Registry): AddGauge =>
  (name, help, read) =>
    registry.registerMetric(
      new Gauge({
        name: `lockstep_${name}`,
        help,
        registers: [],
        collect() {
          const value = read();
          if (value === undefined) this.remove();
          else this.set(value);
        },
      }),
    );

/** Read from the run when asked for. */
function stateMetrics(registry: Registry, run: RunView): void {
  const { state } = run;
  const { settings } = state;
  const gauge = gaugesIn(registry);
  /** Counts that the run itself keeps, by the value of a label. */
  const counters = (name: string, help: string, label: string, read: () => Record<string, number>): void =>
    registry.registerMetric(
      new Counter({
        name: `lockstep_${name}_total`,
        help,
        labelNames: [label],
        registers: [],
        collect() {
          this.reset();
          for (const [value, count] of Object.entries(read())) this.inc({ [label]: value }, count);
        },
      }),
    );
  const counter = (name: string, help: string, read: () => number): void =>
    registry.registerMetric(
      new Counter({
        name: `lockstep_${name}_total`,
        help,
        registers: [],
        collect() {
          this.reset();
          this.inc(read());
        },
      }),
    );
  const info = { name: "lockstep_info", help: "1; the labels say what runs here" };
  const named = new Gauge({ ...info, labelNames: ["version", "id"], registers: [registry] });
  named.set({ version, id: settings.run }, 1);
  counter("steps", "Steps taken, those before a restart included", () => state.steps);
  counter("samples", "Training samples used, those before a restart included", () => samplesIn(settings, state.steps));
  gauge("steps_planned", "Steps of the whole run", () => run.steps);
  gauge("parameters", "Values of the network, frozen ones included", () => run.parameters);
  gauge("workers", "Workers that can compute", () => readyMembers(state).length);
  gauge(
    "workers_joining",
    "Connections that are not workers yet",
    () => state.members.size - readyMembers(state).length,
  );
  gauge("workers_quarantined", "Names that sent wrong gradients", () => state.quarantined.size);
  gauge("training", "Whether steps are being taken: 1, or 0 while paused, waiting for workers or at the end", () => {
    const isPaused = state.pausedSince !== undefined;
    return state.phase === "running" && !isPaused && readyMembers(state).length >= settings.minWorkers ? 1 : 0;
  });
  gauge("test_loss", "Mean loss on the test data, at the last evaluation", () => state.steering.lastEvaluation?.loss);
  gauge("test_accuracy", "Share of the test data that is right", () => state.steering.lastEvaluation?.accuracy);
  counter("audits", "Gradients computed twice and found equal", () => state.audits);
  counters("step_seconds", "Time of this process's steps by what it went to", "part", () => {
    const { compute, reduce, wire, wait } = run.profile();
    return { compute, reduce, wire, wait };
  });
  counters("bytes", "Bytes over sockets, and read from memory shared with workers", "way", () => {
    const { bytesSent: sent, bytesReceived: received, bytesShared: shared } = run.profile();
    return { sent, received, shared };
  });
  registry.registerMetric(
    new Gauge({
      name: "lockstep_worker_samples_per_second",
      help: "Speed of each worker while it computes",
      labelNames: ["worker"],
      registers: [],
      collect() {
        this.reset();
        for (const { name, speed } of readyMembers(state))
          if (speed !== undefined) this.set({ worker: name }, 1000 * speed);
      },
    }),
  );
}

/** Counted as it happens. */
function eventMetrics(registry: Registry, run: RunView): void {
  const counter = <Label extends string = never>(name: string, help: string, ...labelNames: Label[]): Counter<Label> =>
    new Counter({ name: `lockstep_${name}_total`, help, labelNames, registers: [registry] });
  const joined = counter("workers_joined", "Workers that joined");
  const lost = counter("workers_lost", "Workers that were lost, left or were let go");
  const reassigned = counter("pieces_reassigned", "Pieces of work of lost workers that others were given");
  const refused = counter("refusals", "Connections refused or closed, by the reason", "code");
  const warnings = counter("warnings", "Warnings, by their code", "code");
  const checkpoints = counter("checkpoints", "Checkpoints on disk");
  const gauge = gaugesIn(registry);
  let checkpointAt = 0;
  let last: Extract<RunEvent, { type: "step" }> | undefined;
  gauge("checkpoint_timestamp_seconds", "When the last checkpoint was on disk; 0: none yet", () => checkpointAt);
  gauge("loss", "Mean loss of the last minibatch", () => last?.loss);
  gauge("samples_per_second", "Training samples a second", () => last?.samplesPerSecond);
  gauge("seconds_left", "Until the end at this rate", () => last?.secondsLeft);
  run.watch((event) => {
    switch (event.type) {
      case "step":
        last = event;
        return;
      case "worker-joined":
        joined.inc();
        return;
      case "worker-lost":
        lost.inc();
        reassigned.inc(event.reassigned);
        return;
      case "refused":
        refused.inc({ code: event.code });
        return;
      case "warning":
        warnings.inc({ code: event.code });
        return;
      case "checkpoint":
        checkpoints.inc();
        checkpointAt = Date.now() / 1000;
        return;
      default:
    }
  });
}
