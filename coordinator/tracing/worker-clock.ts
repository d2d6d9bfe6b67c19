/**
 * Places what a worker says of itself on the coordinator's clock. The two clocks count from different moments, and a message
 * that tells the worker's time was on its way for a while: of the newest messages the one that took the shortest is taken to
 * have taken no time at all. So a worker's lane is late by what its fastest message takes, some tens of microseconds on one host and
 * half a round trip across a network, and clocks that drift apart are followed.
 */
import type { Timing } from "../../shared/protocol/messages.ts";
import type { Span, SpanKind } from "../dashboard/page/messages.ts";

/** The shortest way is looked for in messages of at least so long, and at most twice as long; milliseconds. */
const WINDOW = 10_000;

/** A part of a worker did something from when to when, in milliseconds of the coordinator's clock. */
export interface Measured {
  /** `main`, or `thread 3`. */
  readonly part: string;
  readonly span: Span;
}

export class WorkerClock {
  /** Coordinator's time less worker's at the fastest message of this window, and of the one before. */
  #least = Number.POSITIVE_INFINITY;
  #before = Number.POSITIVE_INFINITY;
  #since = Number.NEGATIVE_INFINITY;

  /** @param heard when the message with this timing came */
  place(timing: Timing, heard: number): Measured[] {
    this.#hear(heard - timing.sent / 1000, heard);
    const ahead = Math.min(this.#least, this.#before);
    return spansOf(timing, heard - ahead).map(({ part, span: [kind, begin, end] }) => {
      // Nothing is later than the message that tells of it.
      const to = Math.min(heard, end + ahead);
      return { part, span: [kind, Math.min(to, begin + ahead), to] };
    });
  }

  #hear(ahead: number, now: number): void {
    if (now - this.#since > WINDOW) {
      this.#before = this.#least;
      this.#least = Number.POSITIVE_INFINITY;
      this.#since = now;
    }
    this.#least = Math.min(this.#least, ahead);
  }
}

/** In milliseconds of the worker's clock, in which the message came at `heard`. */
function spansOf({ sent, encode, received, calls }: Timing, heard: number): Measured[] {
  const measured = (part: string, kind: SpanKind, begin: number, end: number): Measured => ({
    part,
    span: [kind, begin / 1000, end / 1000],
  });
  const spans = calls.flatMap(([thread, gather, wait, compute, end]) => [
    measured(`thread ${thread}`, "gather", gather, wait),
    measured(`thread ${thread}`, "wait", wait, compute),
    measured(`thread ${thread}`, "compute", compute, end),
  ]);
  if (received !== undefined) spans.push(measured("main", "receive", ...received));
  const last = calls.at(-1);
  if (encode !== undefined)
    spans.push(measured("main", "encode", encode, sent), measured("main", "send", sent, 1000 * heard));
  else if (last !== undefined) spans.push(measured(`thread ${last[0]}`, "announce", last[4], sent));
  return spans;
}
