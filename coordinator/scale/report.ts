/** An experiment's results as people and programs read them: tables, sentences, CSV. */
import { table } from "../cli/table.ts";
import { bytes, count, duration, percent, plural } from "../cli/format.ts";
import { totalOf } from "./cost-model.ts";
import { titleOf } from "./experiment.ts";
import type { Grid, Point } from "./experiment.ts";
import type { Prediction, Results, Summary } from "./results.ts";

const ratio = (value: number): string => `${value.toFixed(2)}×`;
const signed = (share: number): string => `${share < 0 ? "−" : "+"}${percent(Math.abs(share), 0)}`;
export const milliseconds = (value: number): string => `${value.toFixed(value < 10 ? 2 : 1)} ms`;

function rate(value: number): string {
  return count(value < 1000 ? value : Number(value.toPrecision(4)));
}

/** A row a point: what it did, what its time went to, and what the model says beside it. */
export function measuredTable(summaries: readonly Summary[], grid: Grid, target: number | undefined): string {
  const header = [
    "",
    "samples/s (min–max)",
    "ms a step",
    "speed-up",
    "efficiency",
    "compute",
    "reduction",
    "wire",
    "waiting",
    "coordinator CPU",
    "predicted",
    ...(target === undefined ? [] : [`to ${percent(target, 1)}`]),
  ];
  const rows = summaries.map((summary) => {
    const { samplesPerSecond: speed, millisecondsAStep: step, parts } = summary;
    const share = (part: number): string => percent(part / totalOf(parts), 0);
    return [
      titleOf(summary.point, grid),
      `${rate(speed.median)} (${rate(speed.least)}–${rate(speed.greatest)})`,
      step.median.toFixed(2),
      ratio(summary.speedup),
      percent(summary.efficiency, 0),
      share(parts.compute),
      share(parts.reduce),
      share(parts.wire),
      share(parts.wait),
      percent(summary.coordinatorCores, 0),
      `${summary.predictedMilliseconds.toFixed(2)} (${signed(summary.predictionError)})`,
      ...(target === undefined ? [] : [reached(summary)]),
    ];
  });
  return table([header, ...rows]);
}

const reached = ({ target, runs }: Summary): string =>
  target === undefined
    ? "not reached"
    : `${duration(target.seconds)}, ${plural(target.steps, "step")}${target.runs < runs ? ` (${target.runs} of ${plural(runs, "run")})` : ""}`;

/** What the fitted model says a step costs. */
export function modelSentences({ model, summaries }: Results): string[] {
  const { compute, reduce, wire, wait, parameterBytes } = model;
  const speed = (perByte: number): string => (perByte === 0 ? "not measurable" : `${bytes(1000 / perByte)}/s`);
  const off = summaries.map(({ predictionError }) => Math.abs(predictionError));
  return [
    `cost of a step: compute ${milliseconds(compute.constant)} + ${(1000 * compute.rate).toPrecision(3)} µs a sample of the busiest thread; reduction ${milliseconds(reduce.constant)} + partials at ${speed(reduce.rate)}; wire ${milliseconds(wire.constant)} + bytes at ${speed(wire.rate)}; latency ${milliseconds(wait.constant)}; ${bytes(parameterBytes)} of parameters`,
    `on the measured points the model is off by ${percent(Math.max(...off), 0)} at most, ${percent(off.reduce((sum, each) => sum + each, 0) / off.length, 0)} on average`,
  ];
}

/** What to expect of more workers, each on a machine of its own that is like this one, behind a wire that is like this one's. */
export function predictionTable({ curve }: Prediction): string {
  const rows = curve.map(({ workers, fixedBatch, growingBatch }) => [
    count(workers),
    milliseconds(fixedBatch.millisecondsAStep),
    ratio(fixedBatch.speedup),
    percent(fixedBatch.speedup / workers, 0),
    milliseconds(growingBatch.millisecondsAStep),
    ratio(growingBatch.speedup),
    percent(growingBatch.speedup / workers, 0),
  ]);
  const header = ["workers", "same batch", "speed-up", "efficiency", "batch × workers", "speed-up", "efficiency"];
  return table([header, ...rows]);
}

export function predictionSentence({ from, fastest, saturatesAt }: Prediction): string {
  const where = `at batch ${count(from.batch)}`;
  const best = `${where} a step is shortest with ${plural(fastest, "worker")}`;
  return saturatesAt === undefined
    ? `${best}; the coordinator does not saturate up to 1,024`
    : `${best}; the coordinator saturates at ${plural(saturatesAt, "worker")}: from there its own work on a step takes longer than all else`;
}

/** One line a point, with a header; times in milliseconds. */
export function csvOf(summaries: readonly Summary[]): string {
  const columns: Readonly<Record<string, (summary: Summary) => number | undefined>> = {
    workers: ({ point }) => point.workers,
    threads: ({ point }) => point.threads,
    shards: ({ point }) => point.shards,
    batch: ({ point }) => point.batch,
    runs: ({ runs }) => runs,
    samples_per_second: ({ samplesPerSecond }) => samplesPerSecond.median,
    samples_per_second_min: ({ samplesPerSecond }) => samplesPerSecond.least,
    samples_per_second_max: ({ samplesPerSecond }) => samplesPerSecond.greatest,
    step_ms: ({ millisecondsAStep }) => millisecondsAStep.median,
    speedup: ({ speedup }) => speedup,
    efficiency: ({ efficiency }) => efficiency,
    compute_ms: ({ parts }) => parts.compute,
    reduction_ms: ({ parts }) => parts.reduce,
    wire_ms: ({ parts }) => parts.wire,
    waiting_ms: ({ parts }) => parts.wait,
    coordinator_cores: ({ coordinatorCores }) => coordinatorCores,
    bytes_per_step: ({ bytesAStep }) => bytesAStep,
    predicted_ms: ({ predictedMilliseconds }) => predictedMilliseconds,
    prediction_error: ({ predictionError }) => predictionError,
    target_steps: ({ target }) => target?.steps,
    target_seconds: ({ target }) => target?.seconds,
  };
  const lines = summaries.map((summary) =>
    Object.values(columns)
      .map((value) => value(summary) ?? "")
      .join(","),
  );
  return `${[Object.keys(columns).join(","), ...lines].join("\n")}\n`;
}

/** `batch 128, 8 shards, 1 thread`: what the points of a series have in common. */
export const seriesTitle = ({ batch, shards, threads }: Point): string =>
  `batch ${batch}, ${plural(shards, "shard")}, ${plural(threads, "thread")}`;
