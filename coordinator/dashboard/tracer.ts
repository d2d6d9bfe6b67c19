/**
 * Takes down the newest steps as the coordinator sees them: what it did itself, and for each worker when it was given work, how
 * long it says it computed and when its answers came. It is told of effects as they are performed, and only while somebody
 * watches.
 */
import type { CoordinatorEffect } from "../core/events.ts";
import type { Work } from "../core/state.ts";
import type { WorkerId } from "../../shared/ids.ts";
import type { WorkName } from "../../shared/protocol/messages.ts";
import type { Lane, Span, StepTrace } from "./page/messages.ts";

/** Steps kept. */
const MOST_TRACES = 8;
/** Spans of the coordinator closer than this are one; milliseconds. */
const SEAM = 0.02;

interface Answering {
  readonly name: string;
  readonly assigned: number;
  /** When its latest answer had come in. */
  answered: number | undefined;
  computed: number;
}

interface Open {
  readonly work: Work;
  readonly begin: number;
  readonly own: Span[];
  readonly workers: Map<string, Answering>;
}

export class StepTracer {
  readonly #nameOf: (worker: string) => string;
  #open: Open | undefined;
  #traces: StepTrace[] = [];

  constructor(nameOf: (worker: string) => string) {
    this.#nameOf = nameOf;
  }

  /** `begin` and `end`: when it was performed, in milliseconds of one clock. */
  observe(effect: CoordinatorEffect, begin: number, end: number): void {
    if (effect.type === "open") {
      this.#open = { work: effect.work, begin, own: [], workers: new Map() };
      // Who was assigned it ahead has it from the start.
      for (const { owners } of effect.work.pieces.values())
        for (const owner of owners) this.#assigned(this.#open, owner, begin);
      return;
    }
    const open = this.#open;
    if (open === undefined) return;
    switch (effect.type) {
      case "send":
        if (effect.message.type === "assignment" && isOf(open.work, effect.message.work))
          this.#assigned(open, effect.worker, begin);
        return;
      case "receive": {
        add(open.own, "receive", begin - open.begin, end - open.begin);
        const worker = open.workers.get(effect.worker);
        if (worker === undefined) return;
        worker.answered = end - open.begin;
        worker.computed = Math.max(worker.computed, effect.partial.computeMicroseconds / 1000);
        return;
      }
      case "fold":
        add(open.own, "reduce", begin - open.begin, end - open.begin);
        return;
      case "commit":
        add(open.own, "update", begin - open.begin, end - open.begin);
        this.#finish(open, end - open.begin);
        return;
      default:
    }
  }

  /** The newest, oldest first. */
  get traces(): readonly StepTrace[] {
    return this.#traces;
  }

  /** Nobody watches any more: what was taken down would have a gap behind it. */
  forget(): void {
    this.#open = undefined;
    this.#traces = [];
  }

  #assigned({ begin, workers }: Open, worker: WorkerId, at: number): void {
    if (workers.has(worker)) return;
    workers.set(worker, { name: this.#nameOf(worker), assigned: at - begin, answered: undefined, computed: 0 });
  }

  #finish(open: Open, length: number): void {
    this.#open = undefined;
    const { kind, step } = open.work.name;
    const lanes: Lane[] = [...open.workers.values()]
      .sort((left, right) => left.name.localeCompare(right.name, "en", { numeric: true }))
      .map((worker) => ({ name: worker.name, spans: spansOf(worker, length) }));
    this.#traces.push({
      name: kind === "train" ? `step ${(step + 1).toLocaleString("en-US")}` : "evaluation",
      begin: open.begin,
      length,
      lanes: [{ name: "coordinator", spans: open.own }, ...lanes],
    });
    if (this.#traces.length > MOST_TRACES) this.#traces.shift();
  }
}

const isOf = ({ name }: Work, { kind, step }: WorkName): boolean => name.kind === kind && name.step === step;

/** What lies between assignment and answer and was not computing is travel, half of it before: that is an assumption. */
function spansOf({ assigned, answered, computed }: Answering, length: number): Span[] {
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

function add(spans: Span[], kind: Span[0], begin: number, end: number): void {
  const last = spans[spans.length - 1];
  if (last !== undefined && last[0] === kind && begin - last[2] < SEAM) spans[spans.length - 1] = [kind, last[1], end];
  else spans.push([kind, begin, end]);
}
