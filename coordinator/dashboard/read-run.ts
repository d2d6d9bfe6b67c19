/** A run as its folder tells it: its history from metrics.jsonl and events.jsonl, and what became of it. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { sentenceOf } from "../cli/sentences.ts";
import { readEvents } from "../run-folder/event-log.ts";
import { isInUse } from "../run-folder/lock.ts";
import { readMetrics } from "../run-folder/metrics.ts";
import type { MetricsRecord } from "../run-folder/metrics.ts";
import { RunHistory } from "./history.ts";
import type { RunState } from "./page/messages.ts";

interface Bounds {
  /** Lines of later steps, and events of later times, are left out. */
  readonly step: number;
  readonly at: number;
}

const everything: Bounds = { step: Infinity, at: Infinity };

/** @returns the history, and the steps of the whole run where it is known */
export async function readHistory(
  path: string,
  bounds = everything,
): Promise<{ history: RunHistory; steps: number | undefined }> {
  const history = new RunHistory();
  let steps: number | undefined;
  await readEvents(path, bounds.at, (event) => {
    if (event.type === "listening") steps = event.steps;
    // Its figures are in metrics.jsonl, from which steps that are done again were removed.
    if (event.type === "epoch") {
      history.goesOn();
      history.say(event.at, "plain", sentenceOf(event)!);
    } else history.accept(event, event.at);
  });
  await readMetrics(path, (line) => {
    if (line.step <= bounds.step) addLine(history, line, steps ?? Number.NaN);
  });
  return { history, steps };
}

/** Puts what happened before this process went on with the run in front of what it has seen itself. */
export async function earlierHistory(path: string, step: number, at: number, history: RunHistory): Promise<void> {
  history.precede((await readHistory(path, { step, at })).history);
}

/** What became of a run. One without events.jsonl is completed if it has its model. */
export async function stateOf(path: string, history: RunHistory): Promise<RunState> {
  if (await isInUse(path)) return history.state === "paused" || history.state === "waiting" ? history.state : "running";
  if (["completed", "stopped", "failed"].includes(history.state)) return history.state;
  return existsSync(join(path, "model.onnx")) ? "completed" : "interrupted";
}

const numberOr = <Other>(value: unknown, other: Other): number | Other => (typeof value === "number" ? value : other);

function addLine(history: RunHistory, line: MetricsRecord, steps: number): void {
  const loss = numberOr(line["loss"], Number.NaN);
  const accuracy = numberOr(line["accuracy"], undefined);
  const epoch = numberOr(line["epoch"], 0);
  if (line["type"] === "step") {
    const samplesPerSecond = numberOr(line["samplesPerSecond"], Number.NaN);
    history.stepTaken({ step: line.step, steps, epoch, epochs: 0, loss, accuracy, samplesPerSecond, secondsLeft: 0 });
  } else if (line["type"] === "epoch") {
    const [testLoss, testAccuracy] = [numberOr(line["testLoss"], undefined), numberOr(line["testAccuracy"], undefined)];
    const seconds = numberOr(line["seconds"], 0);
    history.epochs.push({ step: line.step, epoch, loss, accuracy, testLoss, testAccuracy, seconds });
  }
}
