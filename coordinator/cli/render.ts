/**
 * Shows a run as it goes. On a terminal: a progress bar, with what happens written above it. Else, or where another level than
 * info is asked for: the log, with a line every few seconds for the steps.
 */
import { MultiBar, type GenericFormatter, type SingleBar } from "cli-progress";
import { isSaid } from "../../shared/log.ts";
import type { Log, LogSettings } from "../../shared/log.ts";
import type { RunEvent } from "../events.ts";
import { duration, loss, percent, count, plural } from "./format.ts";
import { levelOf, sentenceOf } from "./sentences.ts";

export interface Renderer {
  event(event: RunEvent): void;
  /** A sentence of the command itself. */
  say(sentence: string): void;
  /** Nothing more comes from the run; leaves the terminal as it was. */
  close(): void;
}

export interface Screen {
  readonly out: NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number };
  /** Milliseconds, from any start. */
  readonly now: () => number;
}

/** Steps are told as progress at least so far apart. */
const progressEvery = 5000;

export function rendererFor({ format, level }: LogSettings, log: Log, screen: Screen): Renderer {
  const hasBar = format === "pretty" && level === "info" && screen.out.isTTY === true;
  return hasBar ? progressBar(screen) : logLines(log, level, screen);
}

function logLines(log: Log, lowest: LogSettings["level"], { now }: Screen): Renderer {
  let lastProgress: number | undefined;
  const isProgress = (event: RunEvent): boolean => {
    if (event.type !== "step" || now() - (lastProgress ??= now()) < progressEvery) return false;
    lastProgress = now();
    return true;
  };
  return {
    event(event) {
      const level = isProgress(event) ? "info" : levelOf(event);
      // A sentence a step that nobody reads would cost a short step a few per cent.
      if (!isSaid(level, lowest)) return;
      const sentence = sentenceOf(event);
      if (sentence !== undefined) log.say(level, sentence, event);
    },
    say: (sentence) => log.say("info", sentence),
    close: () => {},
  };
}

type StepEvent = Extract<RunEvent, { type: "step" }>;

/** The bar's line; `columns` is the terminal's width, and what does not fit gives way from the right. */
export function barLine(event: StepEvent, columns: number): string {
  const accuracy = event.accuracy === undefined ? [] : [`accuracy ${percent(event.accuracy)}`];
  const parts = [
    `epoch ${event.epoch}/${event.epochs}`,
    `loss ${loss(event.loss)}`,
    ...accuracy,
    `${count(event.samplesPerSecond)} samples/s`,
    plural(event.workers, "worker"),
    `${duration(event.secondsLeft)} left`,
  ];
  const text = parts.join(" · ");
  const width = Math.max(0, Math.min(30, columns - text.length - 9));
  const filled = Math.round((width * event.step) / event.steps);
  const bar = width < 5 ? "" : `${"█".repeat(filled)}${"░".repeat(width - filled)} `;
  return `${bar}${percent(event.step / event.steps, 0).padStart(5)} ${text}`.slice(0, Math.max(1, columns - 1));
}

function progressBar({ out }: Screen): Renderer {
  let latest: StepEvent | undefined;
  // A terminal that was never told its size says 0.
  const format: GenericFormatter = () => (latest === undefined ? "" : barLine(latest, out.columns || 80));
  const bars = new MultiBar({
    format,
    stream: out,
    hideCursor: true,
    clearOnComplete: true,
    // The bar always fits; what is written above it may be longer than a line and must not be cut off.
    linewrap: true,
    // Ctrl-C is ours: the bar's own handler would end the drawing before the run has stopped.
    gracefulExit: false,
  });
  let bar: SingleBar | undefined;
  const above = (sentence: string | undefined): void => {
    if (sentence === undefined) return;
    if (bar === undefined) out.write(`${sentence}\n`);
    else bars.log(`${sentence}\n`);
  };
  return {
    event(event) {
      if (event.type === "step") {
        latest = event;
        bar ??= bars.create(event.steps, event.step);
        bar.update(event.step);
      } else if (event.type !== "checkpoint") above(sentenceOf(event));
    },
    say: above,
    close: () => {
      if (bar === undefined) return;
      bars.update();
      bars.stop();
    },
  };
}
