/** The config of a run when it is resolved: what a file, flags or TypeScript say (resolve.ts), checked and filled in (schema.ts). */
import { isIP } from "node:net";
import type { AugmentSpec } from "../../shared/data/augment.ts";
import type { DataSpec } from "../../shared/data/spec.ts";
import type { MetricSpec } from "../../shared/nn/metrics.ts";
import type { LayerSpec, LossSpec } from "../../shared/nn/spec.ts";
import type { StoredModel } from "../../shared/nn/stored.ts";
import type { ScheduleSpec } from "../../shared/optim/schedule.ts";
import type { OptimizerSpec, ParameterGroup } from "../../shared/optim/spec.ts";
import type { Figure } from "../core/watch.ts";
import type { WeightsSpec } from "./model.ts";

export interface RunConfig {
  /** Names the run and its folder. */
  readonly name: string;
  /** Folder of run folders. */
  readonly runs: string;
  readonly seed: number;
  /** File paths are absolute. */
  readonly data: DataSpec;
  /** The share of the training samples that is held out, drawn by the seed, and evaluated on in place of test data; 0: none. */
  readonly validation: number;
  /** How training images are changed, one after the other; each epoch and sample draws anew. */
  readonly augment: readonly AugmentSpec[];
  /** MiB of features that each process holds in memory; of larger parts it reads samples from files when they are wanted. */
  readonly dataMemory: number;
  readonly model: {
    /** None: the usual ones, once the data is read and says how many outputs they have. */
    readonly layers: readonly LayerSpec[];
    readonly loss: LossSpec;
    /** Values one sample is expected to have; refused when the data has another width. */
    readonly inputWidth?: number;
    /** A safetensors file that parameters start from, by name. */
    readonly weights?: WeightsSpec;
    /** What came of a model with functions or files in it; in the config.json of a run, which doesn't need them any more. */
    readonly graphs?: StoredModel;
  };
  readonly optimizer: OptimizerSpec;
  /** How the learning rate changes over the run. */
  readonly schedule: ScheduleSpec;
  /** Parameters that are trained in another way than the rest. */
  readonly groups: readonly ParameterGroup[];
  /** Keeps a moving average of the parameters, which is the model in the end: the share of it that is kept at each step. */
  readonly average?: number;
  /** Samples in a global minibatch. */
  readonly batch: number;
  /** Parts a minibatch is cut into: decides the bits, independent of who computes them. */
  readonly shards: number;
  /** Minibatches whose gradients are added up before one step is taken: a batch, and shards, so many times as large. */
  readonly accumulate: number;
  /** Passes over the training data. */
  readonly epochs: number;
  /** Local worker processes that `train` starts. */
  readonly workers: number;
  /** Training waits until as many workers are there. */
  readonly minWorkers: number;
  /** Compute threads of each local worker. */
  readonly threads: number;
  /** Epochs between evaluations on the test data; 0: only at the end. */
  readonly evaluateEvery: number;
  /** What they measure besides the loss and the accuracy; absent: the errors of real values, nothing for labels. */
  readonly metrics?: readonly MetricSpec[];
  /** What decides on plateaus, early stopping and the best checkpoint; absent: testLoss, or without test data loss. */
  readonly monitor?: Figure;
  /** Stops once that figure has not improved, by this share of it, for so many epochs in which it was known. */
  readonly stopEarly?: { readonly patience: number; readonly threshold: number };
  readonly checkpoint: {
    /** Steps between checkpoints; 0: not by steps. */
    readonly everySteps: number;
    /** Seconds between checkpoints; 0: not by time. */
    readonly everySeconds: number;
    /** How many are kept. */
    readonly keep: number;
    /** The best one is kept too, and its parameters are the model in the end. */
    readonly best: boolean;
  };
  /** Off admits workers whose arithmetic may differ in the last bit, and marks the run inexact. */
  readonly exact: boolean;
  /** Share of the partials that a second worker computes too, before they are used; 0 to 1. */
  readonly audit: number;
  /** Workers of this host get parameters and leave gradients in memory that they share with the coordinator. */
  readonly sharedMemory: boolean;
  /** The run folder also gets its curves as event files for TensorBoard. */
  readonly tensorboard: boolean;
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** File with the join token that workers must know, absolute; without one, the variable LOCKSTEP_TOKEN may hold it. */
  readonly tokenFile?: string;
  /** PEM files of `wss://`, absolute paths. With `ca`, workers need a certificate of it. */
  readonly tls?: { readonly cert: string; readonly key: string; readonly ca?: string };
  /** Connections at a time. */
  readonly maxConnections: number;
  /** Allows a host other than loopback although anyone may join who reaches it. */
  readonly insecure: boolean;
}

/** What the monitored figure steers while a run trains. */
export const steeredBy = ({ schedule, stopEarly }: RunConfig): string | undefined =>
  schedule.kind === "plateau" ? "the schedule plateau" : stopEarly && "stopEarly";

/** An IPv6 address may stand in brackets, as it does in URLs. */
export const withoutBrackets = (host: string): string => host.replace(/^\[(.*)\]$/, "$1");

/** Whether only this machine can reach the address. */
export const isLoopback = (host: string): boolean =>
  host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
