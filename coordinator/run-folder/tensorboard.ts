/**
 * A run's curves for TensorBoard: `tensorboard --logdir runs` shows each run under its name. Every start of a run writes a file of its
 * own, which begins by taking back what older ones say of steps that are done again. Nothing steers by it; metrics.jsonl has the same
 * values.
 */
import { appendFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import type { Figures } from "../../shared/nn/metrics.ts";
import type { RunEvent } from "../events.ts";
import { onDisk } from "./disk.ts";
import { restartRecord, scalarsRecord, versionRecord } from "./tensorboard-records.ts";

/** Milliseconds that a point waits for others to be written with it. */
const WRITE_EVERY = 1_000;

export interface TensorBoardOptions {
  readonly runPath: string;
  /** Steps taken before this start of the run. */
  readonly steps: number;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Hears of the first write that fails; later ones are not tried. */
  readonly onFailure: (error: unknown) => void;
  /** Asked before anything is written; rejects where that may not be. */
  readonly check: () => Promise<void>;
}

export class TensorBoardLog {
  readonly #path: string;
  readonly #options: TensorBoardOptions;
  /** Records that wait. */
  #records: Buffer[];
  #step: number;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();
  #failed = false;

  constructor(options: TensorBoardOptions) {
    const { runPath, steps, now } = options;
    const at = now();
    // TensorBoard reads a run's files by their names' order, of which the second is the first part.
    const second = String(Math.floor(at / 1000)).padStart(10, "0");
    this.#path = join(runPath, `events.out.tfevents.${second}.${hostname()}.${process.pid}`);
    this.#options = options;
    this.#step = steps;
    this.#records = [versionRecord(at), restartRecord(at, steps + 1)];
  }

  add(event: RunEvent): void {
    const values = valuesOf(event);
    if (event.type === "step") this.#step = event.step;
    if (values === undefined || this.#failed) return;
    const known = Object.entries(values).filter((entry): entry is [string, number] => entry[1] !== undefined);
    this.#records.push(scalarsRecord(this.#options.now(), { step: this.#step, values: Object.fromEntries(known) }));
    this.#timer ??= setTimeout(() => void this.flush(), WRITE_EVERY);
  }

  /** Resolves when everything so far is written, or has failed and been told. */
  flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#writing = this.#writing.then(() => this.#write());
    return this.#writing;
  }

  async #write(): Promise<void> {
    const records = Buffer.concat(this.#records);
    this.#records = [];
    if (this.#failed || records.length === 0) return;
    try {
      await this.#options.check();
      await onDisk(this.#path, () => appendFile(this.#path, records));
    } catch (error) {
      this.#failed = true;
      this.#options.onFailure(error);
    }
  }
}

function valuesOf(event: RunEvent): Record<string, number | undefined> | undefined {
  switch (event.type) {
    case "step":
      return {
        "step/loss": event.loss,
        "step/accuracy": event.accuracy,
        "step/learning_rate": event.learningRate,
        "step/samples_per_second": event.samplesPerSecond,
      };
    case "epoch":
      return {
        "epoch/loss": event.loss,
        "epoch/accuracy": event.accuracy,
        "test/loss": event.testLoss,
        "test/accuracy": event.testAccuracy,
        ...numbersIn(event.testFigures ?? {}),
      };
    default:
      return undefined;
  }
}

/** The figures that are numbers; a table is no curve. */
const numbersIn = (figures: Figures): Record<string, number> =>
  Object.fromEntries(
    Object.entries(figures).flatMap(([name, figure]) => (typeof figure === "number" ? [[`test/${name}`, figure]] : [])),
  );
