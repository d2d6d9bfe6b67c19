/**
 * What a run tells whoever watches it: the terminal, the log, and programs that call `train`. One documented type an
 * event; losses and accuracies are means over samples, times are seconds.
 */
import type { WeightsReport } from "../shared/checkpoint/weights.ts";
import type { ErrorCode } from "../shared/errors.ts";
import type { Figures } from "../shared/nn/metrics.ts";

export type RunEvent =
  /** The data is read and verified. Counts are samples. */
  | { type: "data"; train: number; test: number | undefined; sha256: string }
  /** Weights were read from a file: the names of parameters that start from it, and what did not match. */
  | ({ type: "weights"; file: string } & WeightsReport)
  /** The coordinator accepts workers at this address; `resumedAt` is the step a resumed run goes on from. */
  | {
      type: "listening";
      url: string;
      folder: string;
      parameters: number;
      frozen: number;
      steps: number;
      resumedAt: number | undefined;
    }
  /** What is done in every step is written to this file. */
  | { type: "tracing"; file: string }
  /** Too few workers to go on; training continues by itself once enough have joined. */
  | { type: "waiting"; workers: number; needed: number }
  | { type: "worker-joined"; worker: string; workers: number }
  | { type: "worker-lost"; worker: string; reason: string; reassigned: number; workers: number }
  /** A connection was refused or closed for a coded reason. */
  | { type: "refused"; worker: string; code: ErrorCode; message: string }
  /**
   * A worker sent a wrong sum in this step: computed again, it has other bits. It is not let in again; the step begins anew
   * without it. What it sent since `since`, its first step, was checked only where it was audited.
   */
  | { type: "quarantined"; worker: string; step: number; since: number; shards: readonly [number, number] }
  /** A minibatch is committed. `step` counts from 1 to `steps`, `epoch` from 1; loss and accuracy are of this minibatch. */
  | {
      type: "step";
      step: number;
      steps: number;
      epoch: number;
      epochs: number;
      loss: number;
      accuracy: number | undefined;
      /** The one this minibatch's step was taken with. */
      learningRate: number;
      samplesPerSecond: number;
      secondsLeft: number;
      workers: number;
    }
  /** An epoch is over: the means over its minibatches, and over the test data where there is some. */
  | {
      type: "epoch";
      epoch: number;
      epochs: number;
      loss: number;
      accuracy: number | undefined;
      testLoss: number | undefined;
      testAccuracy: number | undefined;
      /** The config's other metrics on the test data, by name. */
      testFigures: Figures | undefined;
      seconds: number;
    }
  /** The watched figure no longer improved: steps after this one have a lower learning rate. */
  | { type: "rate-reduced"; step: number; figure: string; learningRate: number }
  /** The watched figure has not improved for too long: the run is completed although epochs are left. */
  | { type: "stopped-early"; step: number; figure: string; best: number }
  /** Somebody asked for it; `step` steps are taken, and no other is until `resumed`. */
  | { type: "paused"; step: number }
  | { type: "resumed"; step: number }
  | { type: "checkpoint"; path: string; step: number }
  /** Something an operator should know although training goes on, such as a damaged checkpoint or a full disk. */
  | { type: "warning"; code: ErrorCode; message: string }
  | { type: "finished"; result: RunResult }
  /** The run ended with an error. */
  | { type: "failed"; code: ErrorCode; message: string };

export interface RunResult {
  /** `stopped`: by request, resumable; `completed`: all epochs are done. */
  readonly outcome: "completed" | "stopped";
  readonly steps: number;
  /** Of them, those that this process has taken: the others are of before the run went on. */
  readonly stepsTaken: number;
  readonly epochs: number;
  /** The watched figure has not improved for as long as `stopEarly` says: this run trains no further. */
  readonly stoppedEarly: boolean;
  /** Steps that were taken to the parameters of the model: all, or fewer where the best were kept. */
  readonly modelStep: number;
  readonly testLoss: number | undefined;
  /** 0 to 1; undefined for regression and without test data. */
  readonly testAccuracy: number | undefined;
  /** The config's other metrics on the test data, by name; undefined without test data. */
  readonly testFigures: Figures | undefined;
  /** Time of the steps taken, from the assignment of the first one to the end, without start-up; 0 where none was assigned. */
  readonly seconds: number;
  readonly samplesPerSecond: number;
  /** Hex, over the float32 bytes in layout order, padding left out. */
  readonly parametersSha256: string;
  readonly folder: string;
  /** Paths of model.onnx and model.safetensors; empty when the run was stopped. */
  readonly models: readonly string[];
  /** Partials that were computed twice and compared, and found equal. */
  readonly audits: number;
  /** Seconds of the whole run by what they went to, summed over steps, and bytes over the wire. */
  readonly profile: RunProfile;
}

/** Where the time of the steps went, in seconds summed over steps, seen from the coordinator. */
export interface RunProfile {
  /** The longest compute time among the workers of each step, as they report it. */
  readonly compute: number;
  /** Combining partials and updating parameters. */
  readonly reduce: number;
  /** Serialising, sending, receiving and checking bytes on the coordinator's thread. */
  readonly wire: number;
  /** What is left: waiting for sockets, schedulers and stragglers. */
  readonly wait: number;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  /** Gradients that workers of this host left in shared memory. */
  readonly bytesShared: number;
}
