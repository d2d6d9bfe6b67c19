/**
 * events.jsonl: what happened in a run and when, one event a line, over all its starts. Nothing steers by it and nothing waits for
 * it; it is what the dashboard shows of a run that is over.
 */
import { appendFile } from "node:fs/promises";
import { join } from "node:path";
import type { RunEvent } from "../events.ts";
import { ADDING, onDisk } from "./disk.ts";
import { linesIn } from "./lines.ts";

/** An event with its time in milliseconds since 1970. */
export type LoggedEvent = RunEvent & { readonly at: number };

export class EventLog {
  readonly #path: string;
  readonly #onFailure: (error: unknown) => void;
  readonly #check: () => Promise<void>;
  #lines = "";
  #writing: Promise<void> = Promise.resolve();
  #failed = false;

  /**
   * @param onFailure hears of the first line that cannot be written; later ones are not tried
   * @param check asked before anything is written; rejects where that may not be
   */
  constructor(runPath: string, onFailure: (error: unknown) => void, check: () => Promise<void>) {
    this.#path = eventsPath(runPath);
    this.#onFailure = onFailure;
    this.#check = check;
  }

  add(event: RunEvent, at: number): void {
    // Steps and epochs are in metrics.jsonl; epochs are here too, for their time.
    if (event.type === "step" || this.#failed) return;
    const isFirst = this.#lines === "";
    this.#lines += `${JSON.stringify({ at, ...event })}\n`;
    if (isFirst) this.#writing = this.#writing.then(() => this.#write());
  }

  /** Resolves when everything is written, or has failed and been told. */
  close(): Promise<void> {
    return this.#writing;
  }

  async #write(): Promise<void> {
    const lines = this.#lines;
    this.#lines = "";
    try {
      await this.#check();
      await onDisk(this.#path, () => appendFile(this.#path, lines, { flag: ADDING }));
    } catch (error) {
      this.#failed = true;
      this.#onFailure(error);
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
