/**
 * The trace file of a run, written as it goes: steps wait for a second at most, and when the process is killed a viewer opens
 * what is there. A disk that fails is told once and doesn't stop the training; one that is too slow loses steps, and the file says so.
 */
import { open, rm, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import type { StepTrace } from "../dashboard/page/messages.ts";
import { errnoOf } from "../../shared/errno.ts";
import { LockstepError } from "../../shared/errors.ts";
import { onDisk } from "../run-folder/disk.ts";
import { ChromeTrace, CLOSING, OPENING, SEPARATOR } from "./chrome-trace.ts";

/** Milliseconds, and characters, that wait to be written together. */
const WRITE_EVERY = 1_000;
const WRITE_AT = 2 ** 20;
/** So many characters wait for a slow disk. */
const MOST_WAITING = 32 * 2 ** 20;

export class TraceFile {
  readonly path: string;
  readonly #file: FileHandle;
  readonly #trace = new ChromeTrace();
  #onFailure: (error: unknown) => void = () => {};
  #waiting = "";
  #leftOut = 0;
  #isFirst = true;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();
  /** Whether what waits is to be written next. */
  #isQueued = false;
  #failed = false;
  #closed: Promise<void> | undefined;

  private constructor(path: string, file: FileHandle) {
    this.path = path;
    this.#file = file;
  }

  /** Makes a file that is not there yet. Throws CONFIG_INVALID or DISK_FAILED. */
  static async create(path: string): Promise<TraceFile> {
    const created = await TraceFile.#createNew(path);
    if (created !== undefined) return created;
    throw new LockstepError(
      "CONFIG_INVALID",
      `--trace: found ${path}, which exists already, expected the name of a new file`,
      "Choose another name. A config goes before it: lockstep train lockstep.yaml --trace",
    );
  }

  /** `trace.json` of a run folder; `trace-2.json`, … where earlier starts of the run have left theirs. Throws DISK_FAILED. */
  static async inFolder(folder: string): Promise<TraceFile> {
    for (let number = 1; ; number++) {
      const created = await TraceFile.#createNew(join(folder, number === 1 ? "trace.json" : `trace-${number}.json`));
      if (created !== undefined) return created;
    }
  }

  /** Undefined where there is a file of that name. */
  static async #createNew(path: string): Promise<TraceFile | undefined> {
    try {
      return new TraceFile(path, await onDisk(path, () => open(path, "wx")));
    } catch (error) {
      if (error instanceof LockstepError && errnoOf(error.cause) === "EEXIST") return undefined;
      throw error;
    }
  }

  /** Who hears of the first write that fails; later ones are not tried. */
  set onFailure(hear: (error: unknown) => void) {
    this.#onFailure = hear;
  }

  add(step: StepTrace): void {
    if (this.#failed) return;
    if (this.#waiting.length > MOST_WAITING) {
      this.#leftOut += 1;
      return;
    }
    if (this.#leftOut > 0) this.#append([this.#trace.gap(this.#leftOut, step.begin)]);
    this.#leftOut = 0;
    this.#append(this.#trace.step(step));
    if (this.#waiting.length > WRITE_AT) this.#flush();
    else this.#timer ??= setTimeout(() => this.#flush(), WRITE_EVERY);
  }

  /** Resolves when everything is written, or has failed and been told. Without a step the file goes. */
  close(): Promise<void> {
    return (this.#closed ??= this.#end());
  }

  async #end(): Promise<void> {
    this.#waiting += CLOSING;
    this.#flush();
    await this.#writing;
    await this.#file.close();
    if (this.#isFirst) await rm(this.path, { force: true });
  }

  #append(events: readonly string[]): void {
    for (const event of events) {
      this.#waiting += `${this.#isFirst ? OPENING : SEPARATOR}${event}`;
      this.#isFirst = false;
    }
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#isQueued) return;
    this.#isQueued = true;
    this.#writing = this.#writing.then(() => this.#write());
  }

  async #write(): Promise<void> {
    this.#isQueued = false;
    const text = this.#waiting;
    this.#waiting = "";
    if (this.#failed || text === "") return;
    try {
      await onDisk(this.path, () => this.#file.appendFile(text));
    } catch (error) {
      this.#failed = true;
      this.#onFailure(error);
    }
  }
}
