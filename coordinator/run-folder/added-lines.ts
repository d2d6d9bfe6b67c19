/** Lines that are added to a file as a whole: where the disk does not take all of them, it keeps none, and they can be added again. */
import { open, type FileHandle } from "node:fs/promises";
import { ADDING } from "./disk.ts";
import { LINE_END } from "./lines.ts";

export class AddedLines {
  readonly #path: string;
  readonly #areDurable: boolean;
  /** Where half a line begins that could not be removed. */
  #tornAt: number | undefined;

  /** @param areDurable lines are on the disk before they are said to be added */
  constructor(path: string, areDurable: boolean) {
    this.#path = path;
    this.#areDurable = areDurable;
  }

  /** Adds whole lines, creating the file where needed; not before the last call has ended. Rejects with the system's error. */
  async add(lines: string): Promise<void> {
    const file = await open(this.#path, ADDING);
    try {
      const { size } = await file.stat();
      const start = Math.min(size, this.#tornAt ?? size);
      if (start < size) await file.truncate(start);
      this.#tornAt = undefined;
      // A process that was killed may have left half a line: that stays a line of its own.
      await this.#addAt(file, start, (await isEnded(file, start)) ? lines : `\n${lines}`);
    } finally {
      await file.close();
    }
  }

  async #addAt(file: FileHandle, start: number, text: string): Promise<void> {
    try {
      await file.appendFile(text);
      if (this.#areDurable) await file.datasync();
    } catch (error) {
      // A full disk may have taken half of it; what is left must not be torn lines with whole ones behind them.
      await file.truncate(start).catch(() => (this.#tornAt = start));
      throw error;
    }
  }
}

/** Whether no line goes on where a file of this size ends. */
async function isEnded(file: FileHandle, size: number): Promise<boolean> {
  if (size === 0) return true;
  const { buffer } = await file.read(Buffer.alloc(1), 0, 1, size - 1);
  return buffer[0] === LINE_END;
}
