/**
 * The config of a run: what it is when resolved, the schema of what people write, the defaults, and the checks between
 * fields. Where values come from (file, flags, run folder, TypeScript) is config/resolve.ts.
 */
import { isIP } from "node:net";
import { z } from "zod";
import type { AugmentSpec } from "../shared/data/augment.ts";
import type { DataSpec } from "../shared/data/spec.ts";
import { unreachable } from "../shared/errors.ts";
import type { MetricSpec } from "../shared/nn/metrics.ts";
import type { LayerSpec, LossSpec } from "../shared/nn/spec.ts";
import type { StoredModel } from "../shared/nn/stored.ts";
import type { ScheduleSpec } from "../shared/optim/schedule.ts";
import type { OptimizerSpec, ParameterGroup } from "../shared/optim/spec.ts";
import { augmentSchema, dataSchema } from "./config/data.ts";
import { fraction, notNegative, oneOf, onOrOff, share, strict, text, wholeNumber, yesOrNo } from "./config/fields.ts";
import { metricsSchema, modelSchema } from "./config/model.ts";
import { groupsSchema, optimizerSchema, scheduleSchema } from "./config/optimizer.ts";
import type { Problem } from "./config/problems.ts";
import { figures, type Figure } from "./core/watch.ts";

/** Where a model's parameters start. */
export interface WeightsSpec {
  /** Absolute. */
  readonly file: string;
  /** Beginnings of names in the file, and what they are in the model: the longest that fits is replaced. */
  readonly rename?: Readonly<Record<string, string>>;
  /** Parameters that the file doesn't have, or has in another shape, start as if there were no file (false: that is an error). */
  readonly partial?: boolean;
}

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

const filePath = text("the path of a file");
const namePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;
const nameRule = "letters, digits, '.', '_' and '-', starting with a letter or digit, 100 at most";

/** For the classic network on MNIST. */
export const defaultOptimizer: OptimizerSpec = {
  kind: "sgd",
  learningRate: 0.05,
  momentum: 0.9,
  weightDecay: 0.0002,
};

export const configSchema = strict({
  name: z.string({ error: nameRule }).regex(namePattern, { error: nameRule }).optional(),
  runs: text("the path of a folder").default("runs"),
  seed: wholeNumber(0).default(1),
  data: dataSchema.default({ kind: "mnist" }),
  validation: fraction.default(0),
  augment: augmentSchema.default([]),
  dataMemory: wholeNumber(0).default(1024),
  model: modelSchema.default({}),
  optimizer: optimizerSchema.default(defaultOptimizer),
  schedule: scheduleSchema.default({ kind: "constant" }),
  groups: groupsSchema.default([]),
  average: fraction.optional(),
  batch: wholeNumber(1).default(128),
  shards: wholeNumber(1, 65_536).default(8),
  accumulate: wholeNumber(1, 65_536).default(1),
  epochs: wholeNumber(1).default(20),
  workers: wholeNumber(1, 1024).default(2),
  minWorkers: wholeNumber(1, 1024).default(1),
  threads: wholeNumber(1, 1024).default(1),
  evaluateEvery: wholeNumber(0).default(1),
  metrics: metricsSchema.optional(),
  monitor: oneOf(figures).optional(),
  stopEarly: strict({ patience: wholeNumber(1), threshold: fraction.default(0) }).optional(),
  checkpoint: strict({
    everySteps: wholeNumber(0).default(0),
    everySeconds: notNegative.default(30),
    keep: wholeNumber(1).default(3),
    best: yesOrNo.optional(),
  }).prefault({}),
  exact: onOrOff.default(true),
  audit: share.default(0),
  sharedMemory: onOrOff.default(true),
  tensorboard: onOrOff.default(false),
  host: text("the address to listen at").default("127.0.0.1"),
  port: wholeNumber(0, 65_535).default(0),
  tokenFile: filePath.optional(),
  tls: strict({ cert: filePath, key: filePath, ca: filePath.optional() }).optional(),
  maxConnections: wholeNumber(1, 65_535).default(1024),
  insecure: yesOrNo.default(false),
});

/** What the schema reads: everything filled in but what depends on other fields. */
type WrittenConfig = z.output<typeof configSchema>;

/** What the data's targets are: labels of so many classes, or so many real values; how many may be known only once it is read. */
function targetsOf(data: DataSpec): { readonly labels: boolean; readonly outputs?: number | undefined } {
  switch (data.kind) {
    case "mnist":
      return { labels: true, outputs: 10 };
    case "idx":
    case "cifar":
      return { labels: true, outputs: data.classes ?? 10 };
    case "images":
      return { labels: true, outputs: data.classes };
    case "text":
      return { labels: true, outputs: data.vocabulary ?? 256 };
    case "csv":
    case "jsonLines": {
      const { classes } = data;
      return { labels: classes !== undefined, outputs: typeof classes === "object" ? classes.length : (classes ?? 1) };
    }
    case "npy":
    case "npz":
    case "safetensors":
      return { labels: data.classes !== undefined, outputs: data.classes };
    default:
      return unreachable(data);
  }
}

/** The network of a config that says nothing of one. */
export const usualLayers = (outputs: number): readonly LayerSpec[] => [
  { kind: "dense", units: 64, activation: "relu" },
  { kind: "dense", units: outputs },
];

/** Fills in what depends on other fields: the network and the loss that suit the kind of target, and the name. */
export function completeConfig(written: WrittenConfig, freshName: (data: DataSpec) => string): RunConfig {
  const { name, model, schedule, average, metrics, monitor, stopEarly, checkpoint, tokenFile, tls, ...others } =
    written;
  const { labels, outputs } = targetsOf(written.data);
  const layers = model.layers ?? (outputs === undefined ? [] : usualLayers(outputs));
  const loss = model.loss ?? { kind: labels ? "crossEntropy" : "meanSquaredError" };
  return {
    ...others,
    name: name ?? freshName(written.data),
    model: { ...model, layers, loss },
    schedule: withEpochs(schedule, written.epochs),
    ...(average === undefined ? {} : { average }),
    ...(metrics === undefined ? {} : { metrics }),
    ...(monitor === undefined ? {} : { monitor }),
    ...(stopEarly === undefined ? {} : { stopEarly }),
    // Who stops early wants what was there before it got worse.
    checkpoint: { ...checkpoint, best: checkpoint.best ?? stopEarly !== undefined },
    ...(tokenFile === undefined ? {} : { tokenFile }),
    ...(tls === undefined
      ? {}
      : { tls: { cert: tls.cert, key: tls.key, ...(tls.ca === undefined ? {} : { ca: tls.ca }) } }),
  };
}

/** A schedule that runs out keeps to the epochs it began with, also when a resumed run has more. */
function withEpochs(schedule: ScheduleSpec, epochs: number): ScheduleSpec {
  switch (schedule.kind) {
    case "cosine":
    case "polynomial":
    case "oneCycle":
      return { epochs, ...schedule };
    default:
      return schedule;
  }
}

/** Whether there is, or may be, something to train in a layer. */
function hasParameters(layer: LayerSpec): boolean {
  switch (layer.kind) {
    case "activation":
    case "dropout":
    case "softmax":
    case "maxPool":
    case "averagePool":
    case "globalAveragePool":
    case "flatten":
    case "reshape":
      return false;
    case "residual":
      return layer.layers.some(hasParameters);
    default:
      return true;
  }
}

/** What no single field can say: each problem is a sentence about the field at its path. */
export function problemsBetweenFields({ data, model, optimizer, schedule, shards, accumulate }: RunConfig): Problem[] {
  const problems: Problem[] = [];
  const { layers, loss } = model;
  const softmax = layers.findIndex((layer) => layer.kind === "softmax");
  if (softmax >= 0 && (softmax < layers.length - 1 || loss.kind !== "crossEntropy"))
    problems.push({
      path: ["model", "layers", softmax],
      message: "softmax can only be the last layer, under the loss crossEntropy",
    });
  if (layers.length > 0 && !layers.some(hasParameters))
    problems.push({ path: ["model", "layers"], message: "no layer with parameters: there is nothing to train" });
  const { labels } = targetsOf(data);
  if (loss.kind !== "custom" && labels !== (loss.kind === "crossEntropy"))
    problems.push({
      path: ["model", "loss"],
      message: labels
        ? `${loss.kind} needs real values as targets, and this data has class labels: use crossEntropy`
        : "crossEntropy needs class labels: give their number as data.csv.classes, or use meanSquaredError",
    });
  if (optimizer.kind === "sgd" && optimizer.nesterov === true && (optimizer.momentum ?? 0) === 0)
    problems.push({ path: ["optimizer", "sgd", "nesterov"], message: "needs a momentum above 0" });
  if (optimizer.clipNorm !== undefined && optimizer.clipValue !== undefined)
    problems.push({
      path: ["optimizer", optimizer.kind, "clipValue"],
      message: "clipNorm clips already: give one of them",
    });
  if (schedule.kind === "oneCycle" && schedule.warmUp !== undefined)
    problems.push({
      path: ["schedule", "oneCycle", "warmUp"],
      message: "the cycle warms up itself: give start and rise",
    });
  if (shards * accumulate > 65_536)
    problems.push({ path: ["accumulate"], message: `${accumulate} × ${shards} shards are more than 65536` });
  return problems;
}

/** What the monitored figure steers while a run trains. */
export const steeredBy = ({ schedule, stopEarly }: RunConfig): string | undefined =>
  schedule.kind === "plateau" ? "the schedule plateau" : stopEarly && "stopEarly";

/** Whether only this machine can reach the address. */
export const isLoopback = (host: string): boolean =>
  host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
