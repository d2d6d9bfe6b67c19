/**
 * What a run leaves on disk while it goes on: checkpoints, metrics, the manifest, and the model files at the end. A disk
 * that fails is reported at once and does not stop the training: the last good checkpoint stays.
 */
import { join } from "node:path";
import { encodeModel } from "../shared/checkpoint/snapshot.ts";
import type { Json, Snapshot } from "../shared/checkpoint/snapshot.ts";
import { LockstepError } from "../shared/errors.ts";
import { encodeInferenceOnnx } from "../shared/graph/onnx/encode.ts";
import { slotView } from "../shared/memory/layout.ts";
import type { CompiledModel } from "../shared/nn/model.ts";
import { batchOf } from "./core/schedule.ts";
import type { CoordinatorState } from "./core/state.ts";
import type { RunEvent } from "./events.ts";
import type { ParameterStore } from "./parameters.ts";
import type { Manifest } from "./plan.ts";
import { Checkpoints } from "./run-folder/checkpoints.ts";
import type { RunFolder } from "./run-folder/folder.ts";
import { cutBackMetrics, MetricsLog } from "./run-folder/metrics.ts";

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
  #fingerprint: string | undefined;
  /** Everything begun so far; failures are reported where they happen. */
  #pending: Promise<unknown> = Promise.resolve();

  constructor(parts: RecorderParts) {
    this.#parts = parts;
    this.#fingerprint = parts.manifest.fingerprint;
    this.#checkpoints = new Checkpoints(parts.folder.path, parts.store.layout);
  }

  /** The newest whole checkpoint; damaged ones are reported. Throws CHECKPOINT_DAMAGED where none is whole. */
  newest(): Promise<Snapshot | undefined> {
    return this.#checkpoints.readNewest((error) => this.#warn(error));
  }

  /** Opens metrics.jsonl for what follows `steps` taken steps; lines of later steps are cut off. */
  async open(steps: number): Promise<void> {
    const { path } = this.#parts.folder;
    await cutBackMetrics(path, steps + 1);
    this.#metrics = await MetricsLog.open(path);
  }

  append(line: { readonly step: number } & Record<string, unknown>): void {
    this.#metrics?.append(line);
  }

  /** Begins to write a checkpoint; the parameters may change as soon as this returns. */
  checkpoint(state: CoordinatorState): void {
    const { store, manifest, keep } = this.#parts;
    const snapshot: Snapshot = {
      step: state.steps,
      epoch: batchOf(state.settings, state.steps).epoch,
      run: manifest.run,
      layoutHash: store.layout.hash,
      parameters: store.vector,
      state: store.state,
      steering: state.steering as unknown as Json,
    };
    const step = state.steps;
    // Metrics first: a checkpoint must never be ahead of them. If they fail, the checkpoint is the more welcome.
    const metrics = this.#metrics?.flush();
    const saved = this.#checkpoints.save(snapshot, keep, metrics);
    this.#background(async () => metrics);
    this.#background(async () => this.#parts.notify({ type: "checkpoint", path: await saved, step }));
  }

  /** The first worker's arithmetic is the run's, also after a restart: it goes into the manifest. */
  rememberFingerprint(fingerprint: string): void {
    if (fingerprint === this.#fingerprint) return;
    this.#fingerprint = fingerprint;
    const { folder, manifest } = this.#parts;
    this.#background(() => folder.writeManifest({ ...manifest, fingerprint }));
  }

  /** Writes model.onnx and model.safetensors and returns their paths. Throws DISK_FAILED. */
  async writeModels(model: CompiledModel, inputShape: readonly number[]): Promise<string[]> {
    const { folder, manifest, store } = this.#parts;
    const parameters = Object.fromEntries(
      store.layout.slots.map(({ name }) => [name, slotView(store.layout, name, store.vector)]),
    );
    await folder.writeModel("model.onnx", encodeInferenceOnnx(model, parameters));
    const metadata = { format: "pt", run: manifest.run, inputShape: JSON.stringify(inputShape) };
    await folder.writeModel("model.safetensors", encodeModel(store.layout, store.vector, metadata));
    return ["model.onnx", "model.safetensors"].map((file) => join(folder.path, file));
  }

  /** Waits until everything begun is on disk. */
  async close(): Promise<void> {
    await this.#pending;
    this.#background(async () => this.#metrics?.close());
    await this.#pending;
  }

  #background(action: () => Promise<unknown>): void {
    const done = action().catch((error: unknown) => this.#warn(error));
    this.#pending = Promise.all([this.#pending, done]);
  }

  #warn(error: unknown): void {
    if (!(error instanceof LockstepError)) throw error;
    this.#parts.notify({ type: "warning", code: error.code, message: error.message });
  }
}
