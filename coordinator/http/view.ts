/** A run as its pages see it. They read; what they may ask for is a method here. */
import type { RunConfig } from "../config.ts";
import type { CoordinatorState } from "../core/state.ts";
import type { RunEvent, RunProfile } from "../events.ts";
import type { Manifest } from "../plan.ts";

export interface RunView {
  readonly config: RunConfig;
  readonly manifest: Manifest;
  /** Path of the run folder. */
  readonly folder: string;
  /** What the core knows at this moment; nobody changes it but the core. */
  readonly state: CoordinatorState;
  readonly parameters: number;
  /** Steps of the whole run. */
  readonly steps: number;
  profile(): RunProfile;
  /** The time of the core, in milliseconds. */
  now(): number;
  /** Tells of every event from now on; the result ends that. What is called must not throw and not take long. */
  watch(watcher: (event: RunEvent) => void): () => void;
}
