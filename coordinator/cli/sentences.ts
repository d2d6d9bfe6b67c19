/** The events of a run as sentences, for the terminal and for logs. */
import { unreachable } from "../../shared/errors.ts";
import type { LogLevel } from "../../shared/log.ts";
import type { RunEvent, RunResult } from "../events.ts";
import type { Figures } from "../../shared/nn/metrics.ts";
import { reportLines } from "../model/initial-weights.ts";
import { bytes, count, duration, loss, percent, plural } from "./format.ts";

const accuracyPart = (what: string, accuracy: number | undefined): string =>
  accuracy === undefined ? "" : `, ${what} ${percent(accuracy, 2)}`;

/** Figures that are one number; a table is for `tables`. */
const figureParts = (figures: Figures | undefined): string =>
  Object.entries(figures ?? {})
    .flatMap(([name, value]) => (typeof value === "number" ? [`, ${spelled(name)} ${shown(name, value)}`] : []))
    .join("");

/** meanAbsoluteError as words. */
const spelled = (name: string): string => name.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);

/** Shares of the samples as percentages. */
const shown = (name: string, value: number): string => (/^top\d/.test(name) ? percent(value, 2) : loss(value));

/** Figures that are tables, one line a row: of the confusion matrix, a row a label and a column a class it was taken for. */
function tables(figures: Figures | undefined): string[] {
  return Object.entries(figures ?? {}).flatMap(([name, rows]) => {
    if (typeof rows === "number") return [];
    const width = 1 + Math.max(...rows.flat().map((value) => String(value).length));
    const cells = rows.map((row) => row.map((value) => String(value).padStart(width)).join(""));
    return [`${spelled(name)}, a row for each label, a column for each answer:`, ...cells];
  });
}

/** One line about an event; for a `step` it is the progress line. Undefined for what is told at the end of the run. */
export function sentenceOf(event: RunEvent): string | undefined {
  switch (event.type) {
    case "data":
      return `data: ${count(event.train)} training${event.test === undefined ? "" : ` and ${count(event.test)} test`} samples, sha256 ${event.sha256.slice(0, 12)}`;
    case "weights":
      return [
        `${event.file}: ${plural(event.matched.length, "parameter tensor")} start from it`,
        ...reportLines(event),
      ].join("\n  ");
    case "listening":
      return `${event.folder}: ${plural(event.parameters, "parameter")}${event.frozen === 0 ? "" : `, ${count(event.frozen)} of them frozen`}, ${plural(event.steps, "step")}${event.resumedAt === undefined ? "" : `, going on after step ${count(event.resumedAt)}`}; listening at ${event.url}`;
    case "tracing":
      return `every step is written to ${event.file}: open it at https://ui.perfetto.dev`;
    case "waiting":
      return `waiting for workers: ${event.workers} of ${event.needed}`;
    case "worker-joined":
      return `${event.worker} joined: ${plural(event.workers, "worker")}`;
    case "worker-lost":
      return `${event.worker} is gone: ${event.reason}; ${plural(event.reassigned, "piece")} of work ${event.workers === 0 ? "undone, no worker" : `given to others, ${plural(event.workers, "worker")}`} left`;
    case "refused":
      // A worker may have said it: a line of its own could pass for one of the run's.
      return `refused ${event.worker}: ${event.message.replaceAll("\n", "\n  ")} [${event.code}]`;
    case "quarantined":
      return `${event.worker} sent a wrong gradient for shards ${event.shards[0]} to ${event.shards[1] - 1} of step ${count(event.step)}: it is let go, and the step begins anew. It took part since step ${count(event.since)}, and what was not audited of that may be wrong: to be sure, start again from before [QUARANTINED]`;
    case "step":
      return `epoch ${event.epoch}/${event.epochs}, step ${count(event.step)}/${count(event.steps)}: loss ${loss(event.loss)}${accuracyPart("accuracy", event.accuracy)}, ${count(event.samplesPerSecond)} samples/s, ${plural(event.workers, "worker")}, ${duration(event.secondsLeft)} left`;
    case "epoch":
      return `epoch ${event.epoch}/${event.epochs}: loss ${loss(event.loss)}${accuracyPart("accuracy", event.accuracy)}${event.testLoss === undefined ? "" : `, test loss ${loss(event.testLoss)}`}${accuracyPart("test accuracy", event.testAccuracy)}${figureParts(event.testFigures)}, ${duration(event.seconds)}`;
    case "rate-reduced":
      return `step ${count(event.step)}: ${event.figure} no longer improves, learning rate now ${event.learningRate.toPrecision(3)}`;
    case "stopped-early":
      return `stopping early after step ${count(event.step)}: ${event.figure} has not improved on ${loss(event.best)}`;
    case "paused":
      return `paused after step ${count(event.step)}`;
    case "resumed":
      return `going on after step ${count(event.step)}`;
    case "checkpoint":
      return `checkpoint ${event.path}`;
    case "warning":
      return `warning: ${event.message} [${event.code}]`;
    case "finished":
    case "failed":
      return undefined;
    default:
      return unreachable(event);
  }
}

/** How much an event matters to whoever reads the log; steps that are told now and then as progress are `info`. */
export function levelOf(event: RunEvent): LogLevel {
  switch (event.type) {
    case "step":
      return "debug";
    case "worker-lost":
    case "refused":
    case "warning":
      return "warn";
    case "quarantined":
    case "failed":
      return "error";
    default:
      return "info";
  }
}

/**
 * What the run took and left behind. The lines of `verdict` follow it.
 * @param again the command that goes on with the run
 */
export function summary(result: RunResult, again: string): string[] {
  const { folder, seconds, models, audits, epochs, stoppedEarly } = result;
  const further = stoppedEarly
    ? `it stopped early after epoch ${epochs}; to train on, begin a new run: --weights ${folder}/model.safetensors`
    : `to train on: ${again} --epochs N`;
  const lines = seconds === 0 ? [`${folder} was complete: nothing was left to do (${further})`] : timeLines(result);
  if (audits > 0) lines.push(`audited: ${plural(audits, "gradient")} computed twice, the same bits`);
  if (models.length > 0) lines.push(`model: ${models.join(", ")}`);
  return lines;
}

/** The steps that took those seconds; of a run that went on there are more. */
const pace = ({ steps, stepsTaken, seconds, samplesPerSecond }: RunResult): string =>
  `${plural(stepsTaken, "step")} in ${duration(seconds)}, ${count(samplesPerSecond)} samples/s${stepsTaken === steps ? "" : ` (${count(steps)} steps in all)`}`;

function timeLines(result: RunResult): string[] {
  const { profile } = result;
  const { compute, reduce, wire, wait, bytesSent, bytesReceived, bytesShared } = profile;
  const total = compute + reduce + wire + wait;
  const share = (part: number): string => percent(total === 0 ? 0 : part / total, 0);
  const shared = bytesShared === 0 ? "" : `, ${bytes(bytesShared)} through shared memory`;
  return [
    pace(result),
    `time: compute ${share(compute)}, reduction ${share(reduce)}, wire ${share(wire)}, waiting ${share(wait)}; ${bytes(bytesSent)} sent, ${bytes(bytesReceived)} received${shared}`,
  ];
}

/** Where a run was stopped. */
export const stoppedAt = ({ steps }: RunResult): string =>
  `stopped ${steps === 0 ? "before the first step" : `after step ${count(steps)}`}`;

/** A run's end as one sentence, for the log. */
export function endSentence(result: RunResult): string {
  const { outcome, seconds, testAccuracy, parametersSha256 } = result;
  const idle = outcome === "stopped" ? stoppedAt(result) : `${outcome}: nothing was left to do`;
  const end = seconds === 0 ? idle : `${outcome}: ${pace(result)}`;
  return `${end}${accuracyPart("test accuracy", testAccuracy)}, parameters sha256 ${parametersSha256}`;
}

/** The last lines of a completed run, for people and for scripts that compare runs. */
export function verdict(
  result: Pick<RunResult, "testLoss" | "testAccuracy" | "testFigures" | "parametersSha256">,
): string[] {
  const lines = tables(result.testFigures);
  const numbers = figureParts(result.testFigures).slice(2);
  if (numbers !== "") lines.push(numbers);
  if (result.testAccuracy !== undefined) lines.push(`test accuracy ${percent(result.testAccuracy, 2)}`);
  else if (result.testLoss !== undefined) lines.push(`test loss ${loss(result.testLoss)}`);
  lines.push(`parameters sha256 ${result.parametersSha256}`);
  return lines;
}
