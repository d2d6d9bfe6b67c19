/** The schema of what people write, the defaults, and what is filled in where it depends on other fields. */
import { z } from "zod";
import type { DataSpec } from "../../shared/data/spec.ts";
import { unreachable } from "../../shared/errors.ts";
import type { LayerSpec } from "../../shared/nn/spec.ts";
import type { ScheduleSpec } from "../../shared/optim/schedule.ts";
import type { OptimizerSpec } from "../../shared/optim/spec.ts";
import { figures } from "../core/watch.ts";
import { runName, runNameRule } from "../run-folder/name.ts";
import { withoutBrackets, type RunConfig } from "./config.ts";
import { augmentSchema, dataSchema } from "./data.ts";
import { fraction, notNegative, oneOf, onOrOff, share, strict, text, wholeNumber, yesOrNo } from "./fields.ts";
import { metricsSchema, modelSchema } from "./model.ts";
import { groupsSchema, optimizerSchema, scheduleSchema } from "./optimizer.ts";

const filePath = text("the path of a file");

/** For the classic network on MNIST. */
export const defaultOptimizer: OptimizerSpec = {
  kind: "sgd",
  learningRate: 0.05,
  momentum: 0.9,
  weightDecay: 0.0002,
};

export const configSchema = strict({
  name: z.string({ error: runNameRule }).regex(runName, { error: runNameRule }).optional(),
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
  host: text("the address to listen at").transform(withoutBrackets).default("127.0.0.1"),
  port: wholeNumber(0, 65_535).default(0),
  tokenFile: filePath.optional(),
  tls: strict({ cert: filePath, key: filePath, ca: filePath.optional() }).optional(),
  maxConnections: wholeNumber(1, 65_535).default(1024),
  insecure: yesOrNo.default(false),
});

/** What the schema reads: everything filled in but what depends on other fields. */
type WrittenConfig = z.output<typeof configSchema>;

/** What the data's targets are: labels of so many classes, or so many real values; how many may be known only once it is read. */
export function targetsOf(data: DataSpec): { readonly labels: boolean; readonly outputs?: number | undefined } {
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
