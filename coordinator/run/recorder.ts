/**
 * What a run leaves on disk while it goes on: checkpoints, metrics, the manifest, and the model files at the end. A disk
 * that fails is reported at once and does not stop the training: the last good checkpoint stays.
 */
import { join } from "node:path";
import { encodeModel } from "../../shared/checkpoint/snapshot.ts";
import type { Json, Snapshot } from "../../shared/checkpoint/snapshot.ts";
import { LockstepError } from "../../shared/errors.ts";
import { encodeInferenceOnnx } from "../../shared/graph/onnx/encode.ts";
import { slotView } from "../../shared/memory/layout.ts";
import type { CompiledModel } from "../../shared/nn/model.ts";
import { batchOf } from "../core/epochs.ts";
import type { CoordinatorState } from "../core/state.ts";
import type { RunEvent } from "../events.ts";
import type { ParameterStore } from "../exchange/parameters.ts";
import { Checkpoints } from "../run-folder/checkpoints.ts";
import type { RunFolder } from "../run-folder/folder.ts";
import type { Manifest } from "../run-folder/manifest.ts";
import { cutBackMetrics, MetricsLog } from "../run-folder/metrics.ts";

export interface RecorderParts {
  readonly folder: RunFolder;
  /** As it is to be from now on; written when something in it is new. */
  readonly manifest: Manifest;
  readonly store: ParameterStore;
  /** Checkpoints kept. */
  readonly keep: number;
  readonly notify: (event: RunEvent) => void;
}

export class Recorder {
  readonly #parts: RecorderParts;
  readonly #checkpoints: Checkpoints;
  #metrics: MetricsLog | undefined;
  /** The newest writing of metrics: resolves to the number of lines lost. */
  #flushed: Promise<number> | undefined;
  #manifest: Manifest;
  #manifestOnDisk: Manifest;
  #manifestWritten: Promise<void> = Promise.resolve();
  /** Why the newest checkpoint is not on disk. */
  #unsaved: LockstepError | undefined;
  #bestSaved: Promise<void> = Promise.resolve();
  #others: (() => Promise<void>)[] = [];
  /** Everything begun so far; failures are reported where they happen. */
  #pending: Promise<unknown> = Promise.resolve();

  constructor(parts: RecorderParts) {
    this.#parts = parts;
    this.#manifest = parts.manifest;
    this.#manifestOnDisk = parts.manifest;
    this.#checkpoints = new Checkpoints(parts.folder.path, parts.store.layout, parts.folder.check);
  }

  /** The newest whole checkpoint; damaged ones are reported. Throws CHECKPOINT_DAMAGED where none is whole. */
  newest(): Promise<Snapshot | undefined> {
    return this.#checkpoints.readNewest((error) => this.#warn(error));
  }

  /**
   * Opens metrics.jsonl for what follows `steps` taken steps; lines of later steps are cut off, and that of an epoch whose
   * evaluation is owed; missing ones are reported.
   */
  async open(steps: number, owesEvaluation: boolean): Promise<void> {
    const { path, check } = this.#parts.folder;
    const { steps: found } = await cutBackMetrics(path, steps + 1, owesEvaluation);
    if (found < steps) this.#warn(linesMissing(`the lines of ${steps - found} of ${steps} steps`));
    this.#metrics = await MetricsLog.open(path, { check });
  }

  append(line: { readonly step: number } & Record<string, unknown>): void {
    if (this.#metrics?.append(line) === true) this.#flush();
  }

  /** Begins to write a checkpoint; the parameters may change as soon as this returns. A disk that fails is reported too. */
  checkpoint(state: CoordinatorState, onFailed: () => void): void {
    const step = state.steps;
    this.#flush();
    this.#writeManifest();
    // The others first: a checkpoint must never be ahead of them. If they fail, the checkpoint is the more welcome.
    const others = this.#others.map((write) => write());
    const before = Promise.allSettled([this.#flushed, this.#manifestWritten, this.#bestSaved, ...others]);
    const saved = this.#checkpoints.save(this.#snapshotOf(state), this.#parts.keep, before);
    this.#background(async () => {
      const path = await saved.catch((error: unknown) => {
        if (error instanceof LockstepError) this.#unsaved = error;
        onFailed();
        throw error;
      });
      // Else a newer one took its place.
      if (path === undefined) return;
      this.#unsaved = undefined;
      this.#parts.notify({ type: "checkpoint", path, step });
    });
  }

  /** Has this done before each checkpoint from now on: `write` resolves when what belongs to the steps so far is on disk. */
  beforeCheckpoints(write: () => Promise<void>): void {
    this.#others.push(write);
  }

  /** Begins to write the best checkpoint; the parameters may change as soon as this returns. */
  keepBest(state: CoordinatorState): void {
    this.#bestSaved = this.#checkpoints.saveBest(this.#snapshotOf(state));
    this.#background(() => this.#bestSaved);
  }

  /** The snapshot of the best step; undefined, with a warning, where it is not on disk. */
  async best(step: number): Promise<Snapshot | undefined> {
    await this.#pending;
    try {
      return await this.#checkpoints.readBest(step);
    } catch (error) {
      this.#warn(error);
      return undefined;
    }
  }

  #snapshotOf(state: CoordinatorState): Snapshot {
    const { store, manifest } = this.#parts;
    return {
      step: state.steps,
      epoch: batchOf(state.settings, state.steps).epoch,
      run: manifest.run,
      layoutHash: store.layout.hash,
      parameters: store.vector,
      state: store.state,
      steering: state.steering as unknown as Json,
    };
  }

  /**
   * What a restarted coordinator has to know of the workers goes into the manifest: the first one's arithmetic, which is the
   * run's, and who was quarantined.
   */
  remember({ fingerprint, quarantined }: CoordinatorState): void {
    const before = this.#manifest;
    const known = before.quarantined?.length ?? 0;
    if (fingerprint === before.fingerprint && quarantined.size === known) return;
    this.#manifest = {
      ...before,
      ...(fingerprint === undefined ? {} : { fingerprint }),
      ...(quarantined.size === 0 ? {} : { quarantined: [...quarantined.values()] }),
    };
    this.#writeManifest();
  }

  /** Writes model.onnx and model.safetensors of a run of so many steps and returns their paths. Throws DISK_FAILED. */
  async writeModels(
    model: CompiledModel,
    inputShape: readonly number[],
    vector: Float32Array,
    steps: number,
  ): Promise<string[]> {
    const { folder, manifest, store } = this.#parts;
    const parameters = Object.fromEntries(
      store.layout.slots.map(({ name }) => [name, slotView(store.layout, name, vector)]),
    );
    await folder.writeModel("model.onnx", encodeInferenceOnnx(model, parameters));
    const metadata = { format: "pt", run: manifest.run, inputShape: JSON.stringify(inputShape), steps: String(steps) };
    await folder.writeModel("model.safetensors", encodeModel(store.layout, vector, metadata));
    return ["model.onnx", "model.safetensors"].map((file) => join(folder.path, file));
  }

  /** Waits until everything begun is on disk; resolves to why the newest checkpoint is not, if it is not. */
  async close(): Promise<LockstepError | undefined> {
    await this.#pending;
    this.#flush();
    await this.#pending;
    return this.#unsaved;
  }

  /** Begins to write the metrics so far. */
  #flush(): void {
    const flushed = this.#metrics?.flush();
    // Who asks while one waits for its turn is told of that one.
    if (flushed === this.#flushed) return;
    this.#flushed = flushed;
    this.#background(async () => {
      const lost = await flushed;
      if (lost !== undefined && lost > 0) this.#warn(linesMissing(`${lost} lines: the disk failed for too long`));
    });
  }

  /** Writes the manifest unless it is on disk; where that fails, the next checkpoint tries again. */
  #writeManifest(): void {
    const write = async (): Promise<void> => {
      const manifest = this.#manifest;
      if (manifest === this.#manifestOnDisk) return;
      await this.#parts.folder.writeManifest(manifest);
      this.#manifestOnDisk = manifest;
    };
    // One after the other, also after one that failed: the last one written is the newest.
    this.#manifestWritten = this.#manifestWritten.then(write, write);
    this.#background(() => this.#manifestWritten);
  }

  #background(action: () => Promise<unknown>): void {
    const done = action().catch((error: unknown) => this.#warn(error));
    // Without their results: each would hold the one before it.
    this.#pending = Promise.all([this.#pending, done]).then(() => undefined);
  }

  #warn(error: unknown): void {
    if (!(error instanceof LockstepError)) throw error;
    this.#parts.notify({ type: "warning", code: error.code, message: error.message });
  }
}

const linesMissing = (which: string): LockstepError =>
  new LockstepError("DISK_FAILED", `metrics.jsonl lacks ${which}`, "The parameters do not depend on them.");
