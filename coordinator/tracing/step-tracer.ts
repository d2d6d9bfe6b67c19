/**
 * Takes down steps as the coordinator sees them: what it did itself, and for each worker when it was given work and what it says
 * it did (where the run is traced), or else how long it computed and when its answers came. It is told of effects as they
 * are performed, and only while somebody watches: the dashboard, or a trace file. However much a worker says, what is kept of a
 * step is bounded: it waits in memory until the step ends, and becomes one text.
 */
import type { CoordinatorEffect } from "../core/events.ts";
import type { CoordinatorState, Work } from "../core/state.ts";
import type { Lane, Span, StepTrace } from "../dashboard/page/messages.ts";
import { nodeKey } from "../../shared/gradient/tree.ts";
import type { WorkerId } from "../../shared/ids.ts";
import { isSameWork } from "../../shared/protocol/work-name.ts";
import { WorkerClock, type Measured } from "./worker-clock.ts";

/** Spans of the coordinator closer than this are one, and it did not wait between them; milliseconds. */
const SEAM = 0.02;
/** Spans of one worker in a step, and of the coordinator: more than a partial's calls make. Later ones are not kept. */
const MOST_SPANS = 4_096;
/** Spans of all workers in a step, since there may be many that say much. */
const MOST_IN_ALL = 2 ** 16;
/** Parts of one worker. */
const MOST_PARTS = 512;

interface Answering {
  readonly name: string;
  readonly assigned: number;
  /** When its latest answer had come in. */
  answered: number | undefined;
  computed: number;
  /** What it says that its parts did. */
  readonly parts: Map<string, Span[]>;
  /** Spans of all parts. */
  spans: number;
  /** The nodes of whose computing it has told; what it says again counts no more. */
  readonly told: Set<string>;
}

interface Open {
  readonly work: Work;
  readonly begin: number;
  readonly own: Span[];
  readonly workers: Map<WorkerId, Answering>;
  /** Spans of all workers. */
  spans: number;
}

export class StepTracer {
  readonly #members: CoordinatorState["members"];
  readonly #onStep: (trace: StepTrace) => void;
  #open: Open | undefined;
  #clocks = new Map<WorkerId, WorkerClock>();

  /** @param onStep is given every step, and every evaluation, that is over */
  constructor({ members }: Pick<CoordinatorState, "members">, onStep: (trace: StepTrace) => void) {
    this.#members = members;
    this.#onStep = onStep;
  }

  /** `begin` and `end`: when it was performed, in milliseconds of one clock. */
  observe(effect: CoordinatorEffect, begin: number, end: number): void {
    if (effect.type === "open") {
      this.#open = { work: effect.work, begin, own: [], workers: new Map(), spans: 0 };
      // Who was assigned it ahead has it from the start.
      for (const { owners } of effect.work.pieces.values())
        for (const owner of owners) this.#assigned(this.#open, owner, begin);
      return;
    }
    const open = this.#open;
    if (open === undefined) return;
    switch (effect.type) {
      case "send":
        add(open.own, "send", begin - open.begin, end - open.begin);
        if (effect.message.type === "assignment" && isSameWork(open.work.name, effect.message.work))
          this.#assigned(open, effect.worker, begin);
        return;
      case "send-parameters":
      case "send-ahead":
        add(open.own, "send", begin - open.begin, end - open.begin);
        return;
      case "receive": {
        add(open.own, "receive", begin - open.begin, end - open.begin);
        const worker = open.workers.get(effect.worker);
        if (worker === undefined) return;
        worker.answered = end - open.begin;
        worker.computed = Math.max(worker.computed, effect.partial.computeMicroseconds / 1000);
        const { timing, node } = effect.partial;
        const key = nodeKey({ start: node[0], end: node[1] });
        if (timing === undefined || worker.told.has(key)) return;
        worker.told.add(key);
        for (const measured of this.#clockOf(effect.worker).place(timing, begin)) keep(open, worker, measured);
        return;
      }
      case "fold":
        add(open.own, "reduce", begin - open.begin, end - open.begin);
        return;
      case "commit":
        // However many there are: it is the last.
        open.own.push(["update", begin - open.begin, end - open.begin]);
        this.#finish(open, end - open.begin);
        return;
      default:
    }
  }

  /** Nobody watches any more: what was taken down would have a gap behind it. */
  forget(): void {
    this.#open = undefined;
  }

  #assigned({ begin, workers }: Open, worker: WorkerId, at: number): void {
    if (workers.has(worker)) return;
    const name = this.#members.get(worker)?.name ?? worker;
    workers.set(worker, {
      name,
      assigned: at - begin,
      answered: undefined,
      computed: 0,
      parts: new Map(),
      spans: 0,
      told: new Set(),
    });
  }

  #clockOf(worker: WorkerId): WorkerClock {
    const clock = this.#clocks.get(worker) ?? new WorkerClock();
    this.#clocks.set(worker, clock);
    return clock;
  }

  #finish(open: Open, length: number): void {
    this.#open = undefined;
    for (const worker of this.#clocks.keys()) if (!this.#members.has(worker)) this.#clocks.delete(worker);
    const { kind, step } = open.work.name;
    const lanes = [...open.workers.values()]
      .sort((left, right) => left.name.localeCompare(right.name, "en", { numeric: true }))
      .flatMap((worker) => lanesOf(worker, length));
    this.#onStep({
      name: kind === "train" ? `step ${(step + 1).toLocaleString("en-US")}` : "evaluation",
      begin: open.begin,
      length,
      lanes: [{ name: "coordinator", spans: withWaiting(open.own, length) }, ...lanes],
    });
  }
}

/** A lane for each part that it told of; for one that told nothing a single one. */
function lanesOf(worker: Answering, length: number): Lane[] {
  const { name, parts } = worker;
  if (parts.size === 0) return [{ name, spans: guessedSpans(worker, length) }];
  return [...parts]
    .sort(([left], [right]) => left.localeCompare(right, "en", { numeric: true }))
    .map(([part, spans]) => ({ name, part, spans: spans.sort((left, right) => left[1] - right[1]) }));
}

/** What lies between assignment and answer and was not computing is travel, half of it before: that is an assumption. */
function guessedSpans({ assigned, answered, computed }: Answering, length: number): Span[] {
  if (answered === undefined) return [["lost", assigned, length]];
  const compute = Math.min(computed, answered - assigned);
  const there = assigned + (answered - assigned - compute) / 2;
  return [
    ["travel", assigned, there],
    ["compute", there, there + compute],
    ["travel", there + compute, answered],
    ["wait", answered, length],
  ];
}

/** Adds what a part of a worker did, while there is room. */
function keep(open: Open, worker: Answering, { part, span: [kind, begin, end] }: Measured): void {
  const { parts } = worker;
  if (worker.spans === MOST_SPANS || open.spans === MOST_IN_ALL) return;
  const spans = parts.get(part) ?? [];
  if (spans.length === 0) {
    if (parts.size === MOST_PARTS) return;
    parts.set(part, spans);
  }
  spans.push([kind, begin - open.begin, end - open.begin]);
  worker.spans += 1;
  open.spans += 1;
}

function add(spans: Span[], kind: Span[0], begin: number, end: number): void {
  const last = spans[spans.length - 1];
  if (last !== undefined && last[0] === kind && begin - last[2] < SEAM) spans[spans.length - 1] = [kind, last[1], end];
  else if (spans.length < MOST_SPANS) spans.push([kind, begin, end]);
}

/** Between what the coordinator did it waited. */
function withWaiting(own: readonly Span[], length: number): Span[] {
  const spans: Span[] = [];
  let at = 0;
  const waitUntil = (begin: number): void => {
    if (begin - at >= SEAM) spans.push(["wait", at, begin]);
  };
  for (const span of own) {
    waitUntil(span[1]);
    spans.push(span);
    at = span[2];
  }
  waitUntil(length);
  return spans;
}
