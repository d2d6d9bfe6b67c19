/** What the coordinator tells the page: plain JSON, one documented type each. Times are milliseconds unless they say otherwise. */

export type RunState = "waiting" | "running" | "paused" | "completed" | "stopped" | "failed" | "interrupted";

/** Everything about a run but its curve. The page of a run that goes on gets it first, and updates of it after that. */
export interface RunSnapshot {
  readonly facts: RunFacts;
  readonly state: RunState;
  readonly progress: Progress | undefined;
  readonly epochs: readonly EpochPoint[];
  readonly workers: readonly WorkerRow[];
  readonly log: readonly LogEntry[];
  /** Seconds of the steps so far by what they went to; undefined where nobody knows any more. */
  readonly time: TimeShares | undefined;
  /** Whether who asks may pause, save and stop. */
  readonly mayCommand: boolean;
}

/** What has changed since the last one. */
export interface RunUpdate {
  readonly state: RunState;
  readonly progress: Progress | undefined;
  /** New ones. */
  readonly epochs: readonly EpochPoint[];
  readonly log: readonly LogEntry[];
  readonly points: readonly CurvePoint[];
  /** All of them. */
  readonly workers: readonly WorkerRow[];
  readonly time: TimeShares | undefined;
  /** The newest steps, one after the other. */
  readonly traces: readonly StepTrace[];
}

export interface RunFacts {
  readonly name: string;
  readonly folder: string;
  readonly parameters: number;
  /** Steps of the whole run. */
  readonly steps: number | undefined;
  readonly epochs: number;
  /** Pixels on each side of the images it classifies; undefined where it does something else. */
  readonly imageSide: number | undefined;
  readonly config: unknown;
  readonly manifest: unknown;
}

export interface Progress {
  readonly step: number;
  readonly steps: number;
  readonly epoch: number;
  readonly epochs: number;
  readonly loss: number;
  readonly accuracy: number | undefined;
  readonly samplesPerSecond: number;
  readonly secondsLeft: number;
}

export interface EpochPoint {
  readonly step: number;
  readonly epoch: number;
  readonly loss: number;
  readonly accuracy: number | undefined;
  readonly testLoss: number | undefined;
  readonly testAccuracy: number | undefined;
  readonly seconds: number;
}

/** step, loss, accuracy or null, samples a second */
export type CurvePoint = readonly [step: number, loss: number, accuracy: number | null, rate: number];

export interface WorkerRow {
  readonly name: string;
  readonly state: "joining" | "computing" | "standing by" | "resting" | "gone" | "quarantined";
  /** Why it is gone. */
  readonly reason: string | undefined;
  readonly address: string | undefined;
  readonly threads: number | undefined;
  /** Of the open step's shards, 0 to 1. */
  readonly share: number | undefined;
  /** Samples a second of computing. */
  readonly speed: number | undefined;
  /** Round trip, in milliseconds. */
  readonly latency: number | undefined;
  readonly bytesSent: number | undefined;
  readonly bytesReceived: number | undefined;
  /** Its memory is shared with the coordinator: gradients and parameters cross no socket. */
  readonly sharesMemory: boolean;
  /** Cores that its process is busy on. */
  readonly cpu: number | undefined;
  readonly residentBytes: number | undefined;
  readonly failures: number;
}

export interface LogEntry {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly kind: "good" | "bad" | "plain";
  readonly text: string;
}

export interface TimeShares {
  readonly compute: number;
  readonly reduce: number;
  readonly wire: number;
  readonly wait: number;
}

/** One step as the coordinator saw it. `begin` is milliseconds of the coordinator's clock; spans are counted from it. */
export interface StepTrace {
  readonly name: string;
  readonly begin: number;
  readonly length: number;
  /** The coordinator's own first. */
  readonly lanes: readonly Lane[];
}

export interface Lane {
  /** Whose it is. */
  readonly name: string;
  /** Its thread, where there is a lane for each: `main`, or `thread 3`. */
  readonly part?: string;
  readonly spans: readonly Span[];
}

export type Span = readonly [kind: SpanKind, begin: number, end: number];

/**
 * Of a worker: `gather` reads the samples of a call, `wait` waits for parameters, or having answered for the others, `compute` is the engine,
 * `announce` checks a sum and says where it is, `encode` makes frames of it, `send` is until they came, `receive` parameters. `travel`: on its way
 * there or back, which the coordinator cannot tell apart; `lost`: never answered. Of the coordinator: `send`, `receive` takes and checks
 * partials, `reduce` adds them, `update` takes the step, `wait` is the rest.
 */
export type SpanKind =
  | "gather"
  | "compute"
  | "announce"
  | "encode"
  | "send"
  | "travel"
  | "wait"
  | "lost"
  | "receive"
  | "reduce"
  | "update";

/** A line in the list of runs. */
export type ListedRun = RunSummary | DamagedRun;

export interface RunSummary {
  readonly name: string;
  readonly state: RunState;
  /** Milliseconds since 1970. */
  readonly created: number;
  readonly model: string;
  readonly optimizer: string;
  readonly batch: number;
  readonly shards: number;
  readonly seed: number;
  readonly epoch: number;
  readonly epochs: number;
  readonly step: number;
  readonly loss: number | undefined;
  readonly testLoss: number | undefined;
  readonly testAccuracy: number | undefined;
}

/** A run whose folder cannot be read, and why. */
export interface DamagedRun extends Failure {
  readonly name: string;
  readonly state: "damaged";
}

/** How every request that fails is answered. */
export interface Failure {
  readonly error: { readonly code: string; readonly message: string; readonly hint: string };
}
