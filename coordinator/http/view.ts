/** A run as its pages see it. They read; what they may ask for is a method here. */
import type { OpenedData } from "../../shared/data/open.ts";
import type { TargetSpec } from "../../shared/data/target.ts";
import type { WorkerId } from "../../shared/ids.ts";
import type { CompiledModel } from "../../shared/nn/model.ts";
import type { RunConfig } from "../config/config.ts";
import type { CoordinatorState } from "../core/state.ts";
import type { RunEvent, RunProfile } from "../events.ts";
import type { Manifest } from "../run-folder/manifest.ts";
import type { EffectObserver } from "../runtime.ts";
import type { Link } from "../server/connection.ts";

export interface RunView {
  readonly config: RunConfig;
  readonly manifest: Manifest;
  readonly data: OpenedData;
  /** Path of the run folder. */
  readonly folder: string;
  /** What the core knows at this moment; nobody changes it but the core. */
  readonly state: CoordinatorState;
  readonly parameters: number;
  /** Steps of the whole run. */
  readonly steps: number;
  readonly sampleShape: readonly number[];
  readonly target: TargetSpec;
  readonly model: CompiledModel;
  /** A copy of the current parameters, in layout order with padding. */
  parametersNow(): Float32Array;
  profile(): RunProfile;
  /** The time of the core, in milliseconds. */
  now(): number;
  /** Tells of every event from now on; the result ends that. What is called must not throw and not take long. */
  watch(watcher: (event: RunEvent) => void): () => void;
  /** Tells of what the coordinator does, effect by effect; the result ends that. It costs time, so only while somebody watches. */
  observe(observer: EffectObserver): () => void;
  /** The connection of a worker; undefined when it is gone. */
  link(worker: WorkerId): Link | undefined;
  ping(worker: WorkerId): void;
  command(command: "pause" | "unpause" | "save" | "stop"): void;
  /** Does something before the run's port is closed. */
  onClose(action: () => Promise<void>): void;
}
