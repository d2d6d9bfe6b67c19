/**
 * Steps as events of the Trace Event Format, which Perfetto (https://ui.perfetto.dev) and chrome://tracing open: an array of JSON
 * objects, one a line, whose closing bracket may be missing. A process for the coordinator and for each worker, in it a lane for
 * each of its threads; slices are named as `SpanKind`s. Times are whole microseconds of the coordinator's clock.
 */
import type { Span, StepTrace } from "../dashboard/page/messages.ts";

/** What the file begins and ends with, and what stands between events. */
export const OPENING = "[\n";
export const CLOSING = "\n]\n";
export const SEPARATOR = ",\n";

/** The thread of what is nobody else's. */
const MAIN = "main";
/** Workers choose the names of theirs. */
const MOST_ROWS = 10_000;

interface Row {
  readonly process: number;
  readonly thread: number;
  /** Of its last slice: what the next begins with before that is left out, so that slices don't overlap. */
  end: number;
}

export class ChromeTrace {
  readonly #processes = new Map<string, number>();
  readonly #rows = new Map<string, Row>();
  /** Viewers take processes and threads of one number for the same. */
  #numbers = 0;

  /** The events of a step, each as JSON. */
  step({ name, begin, length, lanes: [own, ...others] }: StepTrace): string[] {
    const events: string[] = [];
    const add = (row: Row | undefined, spans: readonly Span[]): void => {
      if (row === undefined) return;
      for (const [kind, from, to] of spans)
        this.#slice(events, row, { name: kind, step: name }, begin + from, begin + to);
    };
    const coordinator = this.#processOf("coordinator", "coordinator", events);
    const steps = this.#rowOf(coordinator, "steps", events);
    if (steps !== undefined) this.#slice(events, steps, { name, step: name }, begin, begin + length);
    add(this.#rowOf(coordinator, MAIN, events), own!.spans);
    for (const lane of others) {
      // A worker may have any name.
      const process = this.#processOf(`worker ${lane.name}`, lane.name, events);
      add(this.#rowOf(process, lane.part ?? MAIN, events), lane.spans);
    }
    return events;
  }

  /** Says over all lanes that something is missing here. */
  gap(steps: number, at: number): string {
    const name = `${steps} steps left out: the disk is too slow`;
    return JSON.stringify({ name, ph: "i", s: "g", ts: Math.round(1000 * at), pid: 0, tid: 0 });
  }

  #slice(events: string[], row: Row, { name, step }: { name: string; step: string }, from: number, to: number): void {
    const begin = Math.max(row.end, Math.round(1000 * from));
    const end = Math.round(1000 * to);
    if (end <= begin) return;
    row.end = end;
    // There are many, and the names are ours: JSON.stringify took three times as long.
    events.push(
      `{"name":"${name}","ph":"X","ts":${begin},"dur":${end - begin},"pid":${row.process},"tid":${row.thread},"args":{"step":"${step}"}}`,
    );
  }

  #processOf(key: string, name: string, events: string[]): number {
    const known = this.#processes.get(key);
    if (known !== undefined) return known;
    const process = ++this.#numbers;
    this.#processes.set(key, process);
    events.push(JSON.stringify({ name: "process_name", ph: "M", pid: process, args: { name } }));
    return process;
  }

  /** Undefined where there are too many. */
  #rowOf(process: number, name: string, events: string[]): Row | undefined {
    const key = `${process} ${name}`;
    const known = this.#rows.get(key);
    if (known !== undefined || this.#rows.size >= MOST_ROWS) return known;
    const row = { process, thread: ++this.#numbers, end: 0 };
    this.#rows.set(key, row);
    events.push(JSON.stringify({ name: "thread_name", ph: "M", pid: process, tid: row.thread, args: { name } }));
    return row;
  }
}
