/**
 * metrics.jsonl: one JSON object a line, each with the number of its step. Lines are gathered in memory and written by
 * `flush`; the file is open only meanwhile. Before a run continues from a checkpoint, `cutBackMetrics` removes the lines of the
 * steps that will be done again.
 */

import { open } from "node:fs/promises";
import { join } from "node:path";
import { AddedLines } from "./added-lines.ts";
import { ADDING, CHANGING, onDisk, writeAtomically } from "./disk.ts";
import { linesIn } from "./lines.ts";

/** Each time so many more characters of lines wait, they should be written. */
const FLUSH_EVERY = 2 ** 20;
/** So many characters wait for a disk that fails. */
const WAITING_AT_MOST = 64 * 2 ** 20;

/** One line; `step` counts the steps taken when it was written, from 1. */
export interface MetricsRecord {
  readonly step: number;
  readonly [name: string]: unknown;
}

/** Lines that are lost: how many, and of which steps the first and the last are. */
interface Lost {
  readonly lines: number;
  readonly since: number;
  readonly step: number;
}

interface MetricsOptions {
  /** Characters. */
  readonly waitingAtMost?: number;
  readonly check?: () => Promise<void>;
}

export class MetricsLog {
  readonly #path: string;
  readonly #file: AddedLines;
  readonly #waitingAtMost: number;
  readonly #check: () => Promise<void>;
  #pending = "";
  /** Characters that are being written; they are pending again if that fails. */
  #underway = 0;
  /** What the file does not say yet. */
  #lost: Lost | undefined;
  #writing: Promise<unknown> = Promise.resolve();
  #next: Promise<number> | undefined;

  private constructor(path: string, waitingAtMost: number, check: () => Promise<void>) {
    this.#path = path;
    this.#file = new AddedLines(path, true);
    this.#waitingAtMost = waitingAtMost;
    this.#check = check;
  }

  /**
   * Adds to the file from now on, creating it where needed. Throws DISK_FAILED.
   * @param options.check asked before anything is written; rejects where that may not be
   */
  static async open(
    runPath: string,
    { waitingAtMost = WAITING_AT_MOST, check = async () => {} }: MetricsOptions = {},
  ): Promise<MetricsLog> {
    const path = metricsPath(runPath);
    await onDisk(path, async () => (await open(path, ADDING)).close());
    return new MetricsLog(path, waitingAtMost, check);
  }

  /**
   * Adds a line to those that wait; returns whether it is time to flush. When too many wait for a disk that fails, the line is
   * lost, and a line of type "lost" will say so in its place.
   */
  append(record: MetricsRecord): boolean {
    const before = this.#pending.length;
    if (before + this.#underway >= this.#waitingAtMost) {
      const { step } = record;
      this.#lost = together(this.#lost, { lines: 1, since: step, step });
      return false;
    }
    this.#pending += lineOf(record);
    return Math.floor(this.#pending.length / FLUSH_EVERY) > Math.floor(before / FLUSH_EVERY);
  }

  /**
   * Resolves when every line appended so far is durable, to the number of lines before it that are lost. Throws DISK_FAILED;
   * the next flush then tries again.
   */
  flush(): Promise<number> {
    // One after the other, also behind one that failed; what waits for its turn takes all lines there are by then.
    this.#next ??= this.#writing.then(() => {
      this.#next = undefined;
      return onDisk(this.#path, () => this.#write());
    });
    this.#writing = this.#next.catch(() => {});
    return this.#next;
  }

  async #write(): Promise<number> {
    if (this.#pending === "" && this.#lost === undefined) return 0;
    await this.#check();
    const [waiting, lost] = [this.#pending, this.#lost];
    const lines = lost === undefined ? waiting : waiting + lineOf({ type: "lost", ...lost });
    // Taken and emptied in one go: lines come in while this waits.
    this.#pending = "";
    this.#lost = undefined;
    this.#underway = lines.length;
    try {
      await this.#file.add(lines);
      return lost?.lines ?? 0;
    } catch (error) {
      this.#pending = waiting + this.#pending;
      this.#lost = together(lost, this.#lost);
      throw error;
    } finally {
      this.#underway = 0;
    }
  }
}

/**
 * Keeps the lines of steps below `step`, at once or not at all; a line that is torn is dropped. Resolves to the numbers of lines
 * kept and dropped, and of steps that have their line. Throws DISK_FAILED.
 * @param owesEvaluation the last of these steps ended an epoch that will be evaluated again, and then gets its line
 */
export async function cutBackMetrics(
  runPath: string,
  step: number,
  owesEvaluation = false,
): Promise<{ kept: number; dropped: number; steps: number }> {
  const path = metricsPath(runPath);
  const stays = (record: MetricsRecord): boolean =>
    record.step < step && !(owesEvaluation && record["type"] === "epoch" && record.step === step - 1);
  const counts = { kept: 0, dropped: 0, steps: 0 };
  let newest = -Infinity;
  /** Where the first line begins that cannot stay as it is. */
  let cutAt: number | undefined;
  let isKeptBehind = false;
  for await (const lines of linesIn(path))
    for (const { text, at, isEnded } of lines) {
      const record = recordOf(text);
      const isKept = stays(record);
      if (!isKept || !isEnded) cutAt ??= at;
      if (isKept && cutAt !== undefined) isKeptBehind = true;
      if (isKept) counts.kept += 1;
      else if (text !== "") counts.dropped += 1;
      // Lines are in the order of the steps; a set of millions of them would not fit.
      if (isKept && record["type"] === "step" && record.step > newest) {
        counts.steps += 1;
        newest = record.step;
      }
    }
  if (isKeptBehind) await writeAtomically(path, linesThat(path, stays));
  // Nearly always it is only the end that goes, and a disk that is full has no room for a copy.
  else if (cutAt !== undefined) await cutOff(path, cutAt);
  return counts;
}

async function* linesThat(path: string, stay: (record: MetricsRecord) => boolean): AsyncGenerator<string> {
  for await (const lines of linesIn(path))
    yield lines.flatMap(({ text }) => (stay(recordOf(text)) ? [`${text}\n`] : [])).join("");
}

const cutOff = (path: string, size: number): Promise<void> =>
  onDisk(path, async () => {
    const file = await open(path, CHANGING);
    try {
      await file.truncate(size);
      await file.sync();
    } finally {
      await file.close();
    }
  });

/** Hands over all lines that are whole, oldest first; none where there is no file. Throws DISK_FAILED. */
export async function readMetrics(runPath: string, take: (record: MetricsRecord) => void): Promise<void> {
  for await (const lines of linesIn(metricsPath(runPath)))
    for (const { text } of lines) {
      const record = recordOf(text);
      if (Number.isFinite(record.step)) take(record);
    }
}

const metricsPath = (runPath: string): string => join(runPath, "metrics.jsonl");

function together(first: Lost | undefined, next: Lost | undefined): Lost | undefined {
  if (first === undefined || next === undefined) return first ?? next;
  return { lines: first.lines + next.lines, since: first.since, step: next.step };
}

const lineOf = (record: MetricsRecord): string => `${JSON.stringify(record)}\n`;

/** What a line holds; its step is infinite, so it is never kept, where it is not whole. */
function recordOf(line: string): MetricsRecord {
  try {
    const record: unknown = JSON.parse(line);
    const isRecord = typeof record === "object" && record !== null && "step" in record;
    return isRecord && typeof record.step === "number" ? { ...record, step: record.step } : { step: Infinity };
  } catch {
    return { step: Infinity };
  }
}
