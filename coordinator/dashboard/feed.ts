/**
 * Server-sent events of a run: a snapshot to everyone who comes, then four updates a second to all. Nothing is measured, traced or
 * written while nobody watches. For who does not read, nothing is queued behind what waits already: once that has gone, a snapshot
 * makes up for the updates; if it does not go, the connection is closed, and a browser comes again by itself.
 */
import type { ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import type { RunEvent } from "../events.ts";
import type { RunView } from "../http/view.ts";
import { StepTracer } from "../tracing/step-tracer.ts";
import type { RunHistory } from "./history.ts";
import type { CurvePoint, RunFacts, RunSnapshot, RunUpdate, StepTrace } from "./page/messages.ts";
import { WorkerRows } from "./workers.ts";

const UPDATE_EVERY = 250;
const PING_EVERY = 4;
const LAST_WORDS_FOR = 1_000;
/** Audits are told together, at most so often; milliseconds. */
const AUDITS_EVERY = 5_000;
/** Steps shown. */
const MOST_TRACES = 8;
/** Milliseconds that a watcher may leave everything unread. A long run's snapshot may have to cross a slow network. */
const PATIENCE = 60_000;

export const eventHeaders = {
  "content-type": "text/event-stream",
  "cache-control": "no-store",
  // Proxies such as nginx would hold them back.
  "x-accel-buffering": "no",
};

interface Watcher {
  readonly response: ServerResponse;
  readonly mayCommand: boolean;
  /** When it was first passed over because of what it had not read; undefined: it has been told everything. */
  behindSince: number | undefined;
}

export class Feed {
  readonly #run: RunView;
  readonly #history: RunHistory;
  readonly #facts: RunFacts;
  readonly #rows: WorkerRows;
  readonly #tracer: StepTracer;
  /** The newest steps, oldest first. */
  #traces: StepTrace[] = [];
  #stopTracing = (): void => {};
  readonly #watchers = new Set<Watcher>();
  #timer: NodeJS.Timeout | undefined;
  #ticks = 0;
  /** What has been told to all. */
  #told = { logged: 0, epochs: 0 };
  #points: CurvePoint[] = [];
  #audits = { count: 0, at: 0 };

  constructor(run: RunView, history: RunHistory, facts: RunFacts) {
    this.#run = run;
    this.#history = history;
    this.#facts = facts;
    this.#rows = new WorkerRows(run, history);
    this.#tracer = new StepTracer(run.state, (trace) => {
      this.#traces = [...this.#traces.slice(1 - MOST_TRACES), trace];
    });
  }

  get watchers(): number {
    return this.#watchers.size;
  }

  /** Called with every event of the run, after the history has it. */
  event(event: RunEvent): void {
    if (this.#watchers.size === 0) return;
    if (event.type === "step")
      this.#points.push([event.step, event.loss, event.accuracy ?? null, event.samplesPerSecond]);
    // The port is closed behind it.
    if (event.type === "finished" || event.type === "failed") this.#tick();
  }

  /** Everything there is, for someone who comes now. */
  snapshot(mayCommand: boolean): RunSnapshot {
    const { progress, epochs, log } = this.#history;
    return {
      facts: this.#facts,
      state: this.#history.state,
      progress,
      epochs,
      workers: this.#rows.rows(),
      log,
      time: this.#run.profile(),
      mayCommand,
    };
  }

  /** Sends events to this response until either side ends it. */
  add(response: ServerResponse, mayCommand: boolean): void {
    // Its end has been told, and would never be heard of again.
    if (response.destroyed) return;
    response.writeHead(200, eventHeaders);
    // The others are told what this one finds in its snapshot.
    if (this.#watchers.size > 0) this.#tick();
    else this.#begin();
    const watcher: Watcher = { response, mayCommand, behindSince: undefined };
    this.#watchers.add(watcher);
    response.once("close", () => this.#remove(watcher));
    this.#tellAll(watcher);
  }

  /** Resolves when the last words are on their way to everyone who listens; who does not read is not waited for. */
  async close(): Promise<void> {
    if (this.#watchers.size > 0) this.#tick();
    const watchers = [...this.#watchers];
    // Behind its end nothing can be written to a response.
    for (const watcher of watchers) this.#remove(watcher);
    const told = watchers.map(({ response }) => new Promise<void>((resolve) => response.end(resolve)));
    await Promise.race([Promise.all(told), sleep(LAST_WORDS_FOR, undefined, { ref: false })]);
  }

  #begin(): void {
    this.#stopTracing = this.#run.observe((effect, begin, end) => this.#tracer.observe(effect, begin, end));
    this.#told = { logged: this.#history.logged, epochs: this.#history.epochs.length };
    this.#points = [];
    this.#rows.ping();
    this.#timer = setInterval(() => this.#tick(), UPDATE_EVERY);
  }

  #remove(watcher: Watcher): void {
    this.#watchers.delete(watcher);
    if (this.#watchers.size > 0) return;
    clearInterval(this.#timer);
    this.#stopTracing();
    this.#tracer.forget();
    this.#traces = [];
    this.#points = [];
  }

  #tick(): void {
    if (++this.#ticks % PING_EVERY === 0) this.#rows.ping();
    this.#tellAudits();
    const update: RunUpdate = {
      state: this.#history.state,
      progress: this.#history.progress,
      epochs: this.#history.epochs.slice(this.#told.epochs),
      log: this.#history.logSince(this.#told.logged),
      points: this.#points,
      workers: this.#rows.rows(),
      time: this.#run.profile(),
      traces: this.#traces,
    };
    this.#told = { logged: this.#history.logged, epochs: this.#history.epochs.length };
    this.#points = [];
    const text = JSON.stringify(update);
    for (const watcher of this.#watchers) this.#tell(watcher, text);
  }

  #tell(watcher: Watcher, update: string): void {
    const { response, behindSince } = watcher;
    if (response.writableNeedDrain) {
      const now = this.#run.now();
      watcher.behindSince ??= now;
      if (now - watcher.behindSince > PATIENCE) response.destroy();
    } else if (behindSince === undefined) write(response, "update", update);
    else this.#tellAll(watcher);
  }

  #tellAll(watcher: Watcher): void {
    watcher.behindSince = undefined;
    write(watcher.response, "snapshot", JSON.stringify(this.snapshot(watcher.mayCommand)));
  }

  #tellAudits(): void {
    const { audits } = this.#run.state;
    const now = Date.now();
    if (audits === this.#audits.count || now - this.#audits.at < AUDITS_EVERY) return;
    const more = audits - this.#audits.count;
    const them = more === 1 ? "a gradient was" : `${more.toLocaleString("en-US")} gradients were`;
    this.#history.say(now, "good", `audited: ${them} computed twice, the same bits`);
    this.#audits = { count: audits, at: now };
  }
}

const write = (response: ServerResponse, event: string, json: string): void =>
  void response.write(`event: ${event}\ndata: ${json}\n\n`);
