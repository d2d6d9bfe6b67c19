/**
 * The coordinator's disk: what of a run outlives its process. Writes take time; a kill in between leaves the file as if
 * it had never begun (files are renamed when whole). A failing disk reports it, a lying one forgets or tears what it said
 * was written.
 */
import { encodeSnapshot, decodeSnapshot } from "../../shared/checkpoint/snapshot.ts";
import type { Snapshot } from "../../shared/checkpoint/snapshot.ts";
import { owesEvaluation } from "../../coordinator/core/epochs.ts";
import { steeringFrom } from "../../coordinator/core/initial-state.ts";
import type { Quarantine, Steering } from "../../coordinator/core/state.ts";
import { stepNumber } from "../../shared/ids.ts";
import { LockstepError } from "../../shared/errors.ts";
import { job } from "./job.ts";
import type { SimulatedProcess } from "./process.ts";

export type DiskFault = "loses" | "tears" | "fails";
export type MetricsLine = { readonly step: number } & Record<string, unknown>;

/** Checkpoints kept, as a run keeps them. */
const KEEP = 3;

export class Disk {
  /** What happens to the next writes. */
  fault: DiskFault | undefined;
  fingerprint: string | undefined;
  quarantined: readonly Quarantine[] = [];
  metrics: MetricsLine[] = [];
  /** The best checkpoint, and the one that was to be written last, whatever has become of it. */
  best: Uint8Array | undefined;
  last: Uint8Array | undefined;
  readonly #files = new Map<number, Uint8Array>();
  #pending = 0;
  /** When the writes that have begun are done: one goes after the other. */
  #freeAt = 0;

  /** Whether everything begun is done. */
  get isIdle(): boolean {
    return this.#pending === 0;
  }

  /** A new process finds what is durable: the newest whole checkpoint, and the metrics up to it. */
  open(tell: (line: string) => void): Snapshot | undefined {
    this.#pending = 0;
    this.#freeAt = 0;
    const files = [...this.#files.keys()].sort((left, right) => right - left);
    let found: Snapshot | undefined;
    for (const step of files) {
      try {
        found = decodeSnapshot(job.layouts.parameters, this.#files.get(step)!, `checkpoint ${step}`);
        break;
      } catch (error) {
        if (!(error instanceof LockstepError) || error.code !== "CHECKPOINT_DAMAGED") throw error;
        tell(`disk: ${error.message}`);
      }
    }
    if (found === undefined && files.length > 0) throw new Error("no checkpoint is whole");
    const steps = stepNumber(found?.step ?? 0);
    const steering = steeringFrom(found?.steering as Partial<Steering> | undefined);
    const owes = owesEvaluation({ settings: job.settings, steps, steering });
    this.metrics = this.metrics.filter(
      (line) => line.step <= steps && !(owes && line["type"] === "epoch" && line.step === steps),
    );
    return found;
  }

  /** Writes metrics, then a checkpoint, as the recorder does. */
  write(
    process: SimulatedProcess,
    lines: readonly MetricsLine[],
    snapshot: Snapshot | undefined,
    done: () => void,
  ): void {
    const bytes = snapshot && encodeSnapshot(job.layouts.parameters, snapshot);
    this.last = bytes ?? this.last;
    const fault = snapshot === undefined ? undefined : this.fault;
    this.#next(process, () => {
      this.metrics.push(...lines);
      if (snapshot !== undefined && bytes !== undefined) this.#save(snapshot.step, bytes, fault);
      process.world.tell?.(
        `disk: ${snapshot === undefined ? "metrics" : `checkpoint ${snapshot.step}`} ${fault ?? "written"}`,
      );
      done();
    });
  }

  /** Writes the best checkpoint, behind what is being written. */
  keepBest(process: SimulatedProcess, snapshot: Snapshot): void {
    const bytes = encodeSnapshot(job.layouts.parameters, snapshot);
    this.#next(process, () => (this.best = bytes));
  }

  /** Once all is done that was begun before; never if the process is dead by then. */
  #next(process: SimulatedProcess, write: () => void): void {
    const { world } = process;
    this.#pending += 1;
    this.#freeAt = Math.max(this.#freeAt, world.now) + world.between(1, 200);
    process.after(this.#freeAt - world.now, () => {
      this.#pending -= 1;
      write();
    });
  }

  #save(step: number, bytes: Uint8Array, fault: DiskFault | undefined): void {
    if (fault === "fails" || fault === "loses") return;
    // One torn file is survived by the one before it; without one the run would rightly refuse to go on.
    const isTorn = fault === "tears" && this.#files.size > 0 && [...this.#files.values()].every(isWhole);
    this.#files.set(step, isTorn ? bytes.map((byte, index) => (index > bytes.length / 2 ? 0 : byte)) : bytes);
    const reached = [...this.#files.keys()].filter((file) => file <= step).sort((left, right) => left - right);
    for (const old of reached.slice(0, -KEEP)) this.#files.delete(old);
  }
}

function isWhole(bytes: Uint8Array): boolean {
  try {
    decodeSnapshot(job.layouts.parameters, bytes, "");
    return true;
  } catch {
    return false;
  }
}
