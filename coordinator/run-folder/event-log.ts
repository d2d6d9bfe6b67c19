/**
 * events.jsonl: what happened in a run and when, one event a line, over all its starts. Nothing steers by it and nothing waits for
 * it; it is what the dashboard shows of a run that is over.
 */
import { join } from "node:path";
import type { RunEvent } from "../events.ts";
import { AddedLines } from "./added-lines.ts";
import { onDisk } from "./disk.ts";
import { linesIn } from "./lines.ts";

/** So many lines wait for a disk that fails, more than a page shows; then the oldest give way. */
const WAITING_AT_MOST = 1_000;

/** An event with its time in milliseconds since 1970. */
export type LoggedEvent = RunEvent & { readonly at: number };

export class EventLog {
  readonly #path: string;
  readonly #file: AddedLines;
  readonly #onFailure: (error: unknown) => void;
  readonly #check: () => Promise<void>;
  /** Oldest first. */
  #waiting: string[] = [];
  #isWriting = false;
  #writing: Promise<void> = Promise.resolve();
  /** Whether the last write failed. */
  #isFailing = false;

  /**
   * @param onFailure hears of a write that fails, but not of those that fail behind it: each event is another try
   * @param check asked before anything is written; rejects where that may not be
   */
  constructor(runPath: string, onFailure: (error: unknown) => void, check: () => Promise<void>) {
    this.#path = eventsPath(runPath);
    this.#file = new AddedLines(this.#path, false);
    this.#onFailure = onFailure;
    this.#check = check;
  }

  add(event: RunEvent, at: number): void {
    // Steps and epochs are in metrics.jsonl; epochs are here too, for their time.
    if (event.type === "step") return;
    this.#waiting.push(`${JSON.stringify({ at, ...event })}\n`);
    if (this.#waiting.length > WAITING_AT_MOST) this.#waiting.shift();
    if (!this.#isWriting) this.#writing = this.#write();
  }

  /** Resolves when everything is written, or has failed once more and been told. */
  async close(): Promise<void> {
    await this.#writing;
    await this.#write();
  }

  async #write(): Promise<void> {
    this.#isWriting = true;
    let goesOn = true;
    while (goesOn && this.#waiting.length > 0) goesOn = await this.#tryToWrite();
    this.#isWriting = false;
  }

  /** Resolves to whether what waited is written. */
  async #tryToWrite(): Promise<boolean> {
    const lines = this.#waiting;
    this.#waiting = [];
    try {
      await this.#check();
      await onDisk(this.#path, () => this.#file.add(lines.join("")));
      this.#isFailing = false;
      return true;
    } catch (error) {
      this.#waiting = [...lines, ...this.#waiting].slice(-WAITING_AT_MOST);
      const isFirst = !this.#isFailing;
      this.#isFailing = true;
      // What is told is an event too, which then waits with the others.
      if (isFirst) this.#onFailure(error);
      return false;
    }
  }
}

/**
 * Hands over the events of a run up to a time, oldest first; none where it has no log. A line that is torn is left out. Throws
 * DISK_FAILED.
 */
export async function readEvents(runPath: string, until: number, take: (event: LoggedEvent) => void): Promise<void> {
  for await (const lines of linesIn(eventsPath(runPath)))
    for (const { text } of lines) {
      const event = eventOf(text);
      if (event === undefined) continue;
      if (event.at > until) return;
      take(event);
    }
}

const eventsPath = (runPath: string): string => join(runPath, "events.jsonl");

function eventOf(line: string): LoggedEvent | undefined {
  if (line === "") return undefined;
  try {
    const event = JSON.parse(line) as Partial<LoggedEvent> | null;
    return typeof event?.at === "number" && typeof event.type === "string" ? (event as LoggedEvent) : undefined;
  } catch {
    return undefined;
  }
}
