/**
 * What has happened in a run so far, as the page shows it: fed with the run's events while it goes on, or with the lines of its
 * folder later. Pure: the time of an event is given.
 */
import { sentenceOf } from "../cli/sentences.ts";
import type { RunEvent } from "../events.ts";
import { Curve } from "./page/curve.ts";
import type { EpochPoint, LogEntry, Progress, RunState, TimeShares } from "./page/messages.ts";

/** Older entries give way to newer ones. */
const MOST_ENTRIES = 500;
/** Workers that are gone and still remembered: all of them are in every update of a page. */
const MOST_GONE = 100;

/** What outlives a worker's connection. */
export interface WorkerRecord {
  readonly name: string;
  failures: number;
  state: "here" | "gone" | "quarantined";
  reason: string | undefined;
}

export class RunHistory {
  state: RunState = "waiting";
  progress: Progress | undefined;
  /** Of the whole run, once it has ended. */
  time: TimeShares | undefined;
  curve = new Curve();
  readonly epochs: EpochPoint[] = [];
  readonly log: LogEntry[] = [];
  /** Entries that the log has ever had. */
  logged = 0;
  /** Of those that are gone the one that went last is last. */
  readonly workers = new Map<string, WorkerRecord>();
  #step = 0;
  /** Workers that are waited for. */
  #needed = 1;

  /** @param at milliseconds since 1970 */
  accept(event: RunEvent, at: number): void {
    switch (event.type) {
      case "step":
        this.goesOn();
        this.stepTaken(event);
        return;
      case "epoch":
        this.#epochOver(event, at);
        return;
      case "listening":
        this.state = "waiting";
        this.#needed = 1;
        break;
      case "waiting":
        this.#needed = event.needed;
        if (this.state !== "paused") this.state = "waiting";
        break;
      case "worker-joined": {
        const known = this.workers.get(event.worker);
        this.workers.set(event.worker, {
          name: event.worker,
          failures: known?.failures ?? 0,
          state: "here",
          reason: undefined,
        });
        if (event.workers >= this.#needed) this.goesOn();
        break;
      }
      case "worker-lost": {
        const known = this.workers.get(event.worker);
        // One that goes in good order has not failed.
        const failed = event.reason === "left" ? 0 : 1;
        const state = known?.state === "quarantined" ? "quarantined" : "gone";
        this.#hasGone({
          name: event.worker,
          failures: (known?.failures ?? 0) + failed,
          state,
          reason: event.reason,
        });
        break;
      }
      case "quarantined": {
        const failures = this.workers.get(event.worker)?.failures ?? 0;
        this.#hasGone({
          name: event.worker,
          failures,
          state: "quarantined",
          reason: `wrong gradient in step ${event.step}`,
        });
        break;
      }
      case "paused":
        this.state = "paused";
        break;
      case "resumed":
        this.state = "running";
        break;
      case "finished": {
        const { outcome, profile, steps } = event.result;
        this.state = outcome;
        this.time = profile;
        this.say(
          at,
          outcome === "completed" ? "good" : "plain",
          `${outcome} after step ${steps.toLocaleString("en-US")}`,
        );
        return;
      }
      case "failed":
        this.state = "failed";
        this.say(at, "bad", `the run failed: ${event.message} [${event.code}]`);
        return;
      default:
    }
    const sentence = sentenceOf(event);
    if (sentence !== undefined) this.say(at, kindOf(event), sentence);
  }

  /** Adds to the log. */
  say(at: number, kind: LogEntry["kind"], text: string): void {
    this.log.push({ at, kind, text });
    this.logged += 1;
    if (this.log.length > MOST_ENTRIES) this.log.shift();
  }

  /** The newest entries of the log: those that came when it had had `logged`. */
  logSince(logged: number): LogEntry[] {
    const count = Math.min(this.log.length, this.logged - logged);
    return count === 0 ? [] : this.log.slice(-count);
  }

  /** Steps are being taken: nobody is waited for, though they may be paused. */
  goesOn(): void {
    if (this.state !== "paused") this.state = "running";
  }

  stepTaken(progress: Progress): void {
    const { step, loss, accuracy, samplesPerSecond } = progress;
    this.#step = step;
    this.curve.add(step, loss, accuracy ?? Number.NaN, samplesPerSecond);
    this.progress = progress;
  }

  /** Puts what happened earlier in front. */
  precede(earlier: RunHistory): void {
    const [step, loss, accuracy, rate] = this.curve.columns();
    const { curve } = earlier;
    for (let at = 0; at < step.length; at++) curve.add(step[at]!, loss[at]!, accuracy[at]!, rate[at]!);
    this.curve = curve;
    this.progress ??= earlier.progress;
    this.epochs.unshift(...earlier.epochs);
    this.log.unshift(...earlier.log);
    this.log.splice(0, this.log.length - MOST_ENTRIES);
    const present = new Map(this.workers);
    this.workers.clear();
    for (const { name, failures, reason } of earlier.workers.values())
      if (!present.has(name)) this.#hasGone({ name, failures, state: "gone", reason: reason ?? "not back yet" });
    for (const now of present.values()) {
      now.failures += earlier.workers.get(now.name)?.failures ?? 0;
      if (now.state === "here") this.workers.set(now.name, now);
      else this.#hasGone(now);
    }
  }

  /** There is no end of names: the oldest are forgotten, first of those that left in good order, last of the quarantined. */
  #hasGone(record: WorkerRecord): void {
    this.workers.delete(record.name);
    this.workers.set(record.name, record);
    const gone = [...this.workers.values()].filter(({ state }) => state !== "here");
    if (gone.length <= MOST_GONE) return;
    const least =
      gone.find(({ state, reason }) => state === "gone" && reason === "left") ??
      gone.find(({ state }) => state === "gone") ??
      gone[0]!;
    this.workers.delete(least.name);
  }

  #epochOver(event: Extract<RunEvent, { type: "epoch" }>, at: number): void {
    const { epoch, loss, accuracy, testLoss, testAccuracy, seconds } = event;
    this.epochs.push({ step: this.#step, epoch, loss, accuracy, testLoss, testAccuracy, seconds });
    this.say(at, "plain", sentenceOf(event)!);
  }
}

function kindOf(event: RunEvent): LogEntry["kind"] {
  switch (event.type) {
    case "worker-joined":
    case "checkpoint":
      return "good";
    case "worker-lost":
      return event.reason === "left" ? "plain" : "bad";
    case "refused":
    case "quarantined":
    case "warning":
      return "bad";
    default:
      return "plain";
  }
}
