/**
 * The checkpoints of a run: checkpoints/step-00001234.safetensors. A file under that name is whole and verified when read,
 * the last few are kept, and a damaged one is named and the one before is used. Beside them best-00001234.safetensors, the best
 * one by the figure that the run watches, and those before it that a run which goes on from one of the last few would count as best.
 */

import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { decodeSnapshot, encodeSnapshot, type Snapshot } from "../../shared/checkpoint/snapshot.ts";
import { errnoOf } from "../../shared/errno.ts";
import { LockstepError } from "../../shared/errors.ts";
import type { Layout } from "../../shared/memory/layout.ts";
import { onDisk, reading, syncFolder, writeAtomically } from "./disk.ts";

/** A checkpoint's file and the number of steps done in it. */
export interface CheckpointFile {
  readonly step: number;
  readonly path: string;
}

/** A checkpoint that is to be written. */
interface Saving {
  readonly step: number;
  readonly bytes: Uint8Array;
  readonly keep: number;
  readonly after: Promise<unknown>;
  readonly done: PromiseWithResolvers<string | undefined>;
}

export const checkpointFolder = (runPath: string): string => join(runPath, "checkpoints");

export class Checkpoints {
  readonly #folder: string;
  readonly #layout: Layout;
  readonly #check: () => Promise<void>;
  #waiting: Saving | undefined;
  #writing = false;
  #bestWaiting: { readonly step: number; readonly bytes: Uint8Array } | undefined;
  #bestWritten: Promise<void> = Promise.resolve();

  /** @param check asked before anything is written or removed; rejects where that may not be */
  constructor(runPath: string, layout: Layout, check = async (): Promise<void> => {}) {
    this.#folder = checkpointFolder(runPath);
    this.#layout = layout;
    this.#check = check;
  }

  /**
   * Writes a checkpoint and removes all but the newest `keep` up to it; resolves to its path when it is durable. The snapshot
   * is copied before this returns, and written once `after` has settled. Checkpoints are written one after the other; of those
   * that wait for that, only the newest is kept, the others resolve to undefined: a slow disk must not fill the memory. Rejects
   * with DISK_FAILED: the checkpoints before it are then untouched.
   */
  save(snapshot: Snapshot, keep: number, after: Promise<unknown> = Promise.resolve()): Promise<string | undefined> {
    const done = Promise.withResolvers<string | undefined>();
    const bytes = encodeSnapshot(this.#layout, snapshot);
    this.#waiting?.done.resolve(undefined);
    this.#waiting = { step: snapshot.step, bytes, keep: Math.max(1, keep), after, done };
    if (!this.#writing) void this.#writeAll();
    return done.promise;
  }

  /**
   * Writes the best checkpoint so far; resolves when it is durable. Copied before this returns; of those that wait for a slow disk
   * only the newest is written. Rejects with DISK_FAILED.
   */
  saveBest(snapshot: Snapshot): Promise<void> {
    this.#bestWaiting = { step: snapshot.step, bytes: encodeSnapshot(this.#layout, snapshot) };
    const write = async (): Promise<void> => {
      const next = this.#bestWaiting;
      this.#bestWaiting = undefined;
      if (next === undefined) return;
      await this.#check();
      await writeAtomically(this.#pathOf("best", next.step), next.bytes);
    };
    this.#bestWritten = this.#bestWritten.then(write, write);
    return this.#bestWritten;
  }

  /** The best checkpoint, which is that of this step. Throws CHECKPOINT_DAMAGED. */
  readBest(step: number): Promise<Snapshot> {
    return this.#read({ step, path: this.#pathOf("best", step) });
  }

  /** All checkpoints, oldest first; or all best ones. None where there is no folder of them. */
  async list(kind: "step" | "best" = "step"): Promise<CheckpointFile[]> {
    const names = (await reading(this.#folder, () => readdir(this.#folder))) ?? [];
    const pattern = new RegExp(String.raw`^${kind}-(\d{8,})\.safetensors$`);
    return names
      .flatMap((name) => {
        const step = pattern.exec(name)?.[1];
        return step === undefined ? [] : [{ step: Number(step), path: join(this.#folder, name) }];
      })
      .sort((left, right) => left.step - right.step);
  }

  /**
   * The newest checkpoint that is whole; undefined where there are none. `onDamaged` gets a CHECKPOINT_DAMAGED naming each file
   * that was passed over. Throws CHECKPOINT_DAMAGED where none is whole, LAYOUT_MISMATCH where it belongs to another model.
   */
  async readNewest(onDamaged: (error: LockstepError) => void): Promise<Snapshot | undefined> {
    const files = await this.list();
    for (const file of files.toReversed()) {
      try {
        return await this.#read(file);
      } catch (error) {
        if (!(error instanceof LockstepError) || error.code !== "CHECKPOINT_DAMAGED") throw error;
        onDamaged(error);
      }
    }
    if (files.length === 0) return undefined;
    throw new LockstepError(
      "CHECKPOINT_DAMAGED",
      `none of the ${files.length} checkpoints in ${this.#folder} is whole`,
      "Start the run again under another --name.",
    );
  }

  async #read({ step, path }: CheckpointFile): Promise<Snapshot> {
    let bytes: Uint8Array;
    try {
      bytes = await readFile(path);
    } catch (cause) {
      throw new LockstepError(
        "CHECKPOINT_DAMAGED",
        `${path} cannot be read: ${errnoOf(cause) ?? String(cause)}`,
        "Use another checkpoint.",
        { cause },
      );
    }
    const snapshot = decodeSnapshot(this.#layout, bytes, path);
    if (snapshot.step !== step)
      throw new LockstepError(
        "CHECKPOINT_DAMAGED",
        `${path} holds step ${snapshot.step}, expected step ${step}`,
        "Give the file its own name back.",
      );
    return snapshot;
  }

  /** Writes until none waits; each one's own caller hears of its failure. */
  async #writeAll(): Promise<void> {
    this.#writing = true;
    for (let next = this.#waiting; next !== undefined; next = this.#waiting) {
      this.#waiting = undefined;
      await Promise.allSettled([next.after]);
      await this.#write(next).then(next.done.resolve, next.done.reject);
    }
    this.#writing = false;
  }

  async #write({ step, bytes, keep }: Saving): Promise<string> {
    const path = this.#pathOf("step", step);
    await this.#check();
    await writeAtomically(path, bytes);
    // What lies beyond this step is damaged, or the run would have continued from there: it doesn't count as kept.
    const reached = (await this.list()).filter((file) => file.step <= step);
    const kept = reached.slice(-keep);
    const best = await this.list("best");
    const isNeeded = (file: CheckpointFile): boolean =>
      file.step > step || kept.some((each) => best.findLast((other) => other.step <= each.step) === file);
    await onDisk(this.#folder, async () => {
      for (const old of reached.slice(0, -keep)) await rm(old.path, { force: true });
      for (const old of best) if (!isNeeded(old)) await rm(old.path, { force: true });
      await syncFolder(this.#folder);
    });
    return path;
  }

  #pathOf(kind: "step" | "best", step: number): string {
    return join(this.#folder, `${kind}-${String(step).padStart(8, "0")}.safetensors`);
  }
}
