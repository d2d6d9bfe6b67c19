/**
 * metrics.jsonl: one JSON object a line, each with the number of its step. Lines are gathered in memory and written by
 * `flush`. Before a run continues from a checkpoint, `cutBackMetrics` removes the lines of the steps that will be done again.
 */

import { open, readFile, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { errnoOf } from "../../shared/errno.ts";
import { onDisk, writeAtomically } from "./disk.ts";

/** One line; `step` counts the steps taken when it was written, from 1. */
export interface MetricsRecord {
  readonly step: number;
  readonly [name: string]: unknown;
}

export class MetricsLog {
  readonly #path: string;
  readonly #file: FileHandle;
  #pending = "";
  #writing: Promise<void> = Promise.resolve();

  private constructor(path: string, file: FileHandle) {
    this.#path = path;
    this.#file = file;
  }

  /** Opens the file to add to it, creating it where needed. Throws DISK_FAILED. */
  static async open(runPath: string): Promise<MetricsLog> {
    const path = metricsPath(runPath);
    return new MetricsLog(path, await onDisk(path, () => open(path, "a")));
  }

  append(record: MetricsRecord): void {
    this.#pending += `${JSON.stringify(record)}\n`;
  }

  /** Resolves when every line appended so far is durable. Throws DISK_FAILED; the next flush then tries again. */
  flush(): Promise<void> {
    const written = this.#writing.then(() => onDisk(this.#path, () => this.#write()));
    // One after the other, also behind one that failed: its own caller hears of that.
    this.#writing = written.catch(() => {});
    return written;
  }

  async #write(): Promise<void> {
    const { size } = await this.#file.stat();
    // Taken and emptied in one go: lines come in while this waits.
    const lines = this.#pending;
    this.#pending = "";
    if (lines === "") return;
    try {
      await this.#file.appendFile(lines);
      await this.#file.datasync();
    } catch (error) {
      // A full disk may have taken half of it; what is left must not be torn lines with whole ones behind them.
      await this.#file.truncate(size).catch(() => {});
      this.#pending = lines + this.#pending;
      throw error;
    }
  }

  async close(): Promise<void> {
    try {
      await this.flush();
    } finally {
      await this.#file.close();
    }
  }
}

/**
 * Keeps the lines of steps below `step`, in one atomic replacement; a line that is torn is dropped. Resolves to the numbers of
 * lines kept and dropped. Throws DISK_FAILED.
 */
export async function cutBackMetrics(runPath: string, step: number): Promise<{ kept: number; dropped: number }> {
  const path = metricsPath(runPath);
  const text = await onDisk(path, async () => {
    try {
      return await readFile(path, "utf8");
    } catch (error) {
      if (errnoOf(error) === "ENOENT") return "";
      throw error;
    }
  });
  const lines = text.split("\n").filter((line) => line !== "");
  const kept = lines.filter((line) => stepOf(line) < step);
  const remaining = kept.map((line) => `${line}\n`).join("");
  if (remaining !== text) await writeAtomically(path, remaining);
  return { kept: kept.length, dropped: lines.length - kept.length };
}

const metricsPath = (runPath: string): string => join(runPath, "metrics.jsonl");

/** The step of a line; infinite, so never kept, for one that is not whole. */
function stepOf(line: string): number {
  try {
    const record: unknown = JSON.parse(line);
    const isRecord = typeof record === "object" && record !== null && "step" in record;
    return isRecord && typeof record.step === "number" ? record.step : Infinity;
  } catch {
    return Infinity;
  }
}
