/** What a config and its data make of a run: the core's settings, the plan its workers get, its first manifest. */
import { randomUUID } from "node:crypto";
import { LockstepError } from "../../shared/errors.ts";
import { LAST_VERSION } from "../../shared/gradient/arrivals.ts";
import type { PartialLayouts } from "../../shared/gradient/partial.ts";
import { encodeGraph } from "../../shared/graph/serialise.ts";
import { runId } from "../../shared/ids.ts";
import type { Layout } from "../../shared/memory/layout.ts";
import type { RunPlan, WorkKind } from "../../shared/protocol/messages.ts";
import { LONG_RUN } from "../../shared/v8.ts";
import { version } from "../../shared/version.ts";
import { steeredBy, type RunConfig } from "../config/config.ts";
import { batchOf, EVALUATION_CHUNK, evaluationShards, stepsPerEpoch, totalSteps } from "../core/epochs.ts";
import type { Settings } from "../core/settings.ts";
import type { Figure } from "../core/watch.ts";
import type { OptimizerParts } from "../crew/crew.ts";
import { measuredBy } from "../model/model.ts";
import { localWorkerNames } from "../local-workers/local-workers.ts";
import type { Manifest } from "../run-folder/manifest.ts";
import type { Ingredients } from "./ingredients.ts";

/** How long a run waits for all its local workers before it starts with those it has, in milliseconds. */
const GATHER_FOR = 20_000;

export function firstManifest({ config, data, layouts, start }: Ingredients): Manifest {
  const { seed, shards, batch, exact } = config;
  return {
    run: randomUUID(),
    lockstep: version,
    node: process.version,
    created: new Date().toISOString(),
    seed,
    batch,
    shards,
    exact,
    dataSha256: data.sha256,
    layoutHash: layouts.parameters.hash,
    parameters: parameterCount(layouts),
    ...(start === undefined || Object.keys(start.files).length === 0 ? {} : { startedFrom: start.files }),
  };
}

/** One step's samples and the shards they are cut into: as of `accumulate` minibatches that follow one another. */
const globalBatch = ({ batch, shards, accumulate }: RunConfig): { batch: number; shards: number } => ({
  batch: batch * accumulate,
  shards: shards * accumulate,
});

/** What a run's optimizer is made of, groups and average included. */
export const optimizerParts = ({ optimizer, groups, average }: RunConfig, layout: Layout): OptimizerParts => ({
  spec: optimizer,
  surroundings: { layout, groups, averageDecay: average },
});

export const parameterCount = (layouts: PartialLayouts): number =>
  layouts.parameters.slots.reduce((sum, { length }) => sum + length, 0);

/** Of these, those that keep their start. */
export const frozenCount = ({ parameters: { slots, trained } }: PartialLayouts): number =>
  slots.reduce((sum, { offset, length }) => sum + (offset >= trained ? length : 0), 0);

/** @param localWorkers workers the run starts itself and waits for, for a while */
export function settingsOf({ config, data, model, layouts }: Ingredients, run: string, localWorkers: number): Settings {
  const { batch, shards } = globalBatch(config);
  const trainSamples = data.train.length;
  const isTested = data.test !== undefined;
  const countsCorrect = model.metrics.includes("correct");
  checkSteps(config.epochs, stepsPerEpoch({ trainSamples, batch }));
  return {
    run: runId(run),
    version,
    dataSha256: data.sha256,
    layoutHash: layouts.parameters.hash,
    batch,
    shards,
    epochs: config.epochs,
    trainSamples,
    testSamples: data.test?.length ?? 0,
    evaluationChunk: EVALUATION_CHUNK,
    evaluateEvery: config.evaluateEvery,
    measured: { metrics: measuredBy(model, config, data.train), target: data.train.target },
    countsCorrect,
    schedule: {
      spec: config.schedule,
      learningRate: config.optimizer.learningRate,
      batch,
      stepsPerEpoch: stepsPerEpoch({ trainSamples, batch }),
      epochs: config.epochs,
    },
    monitor: monitorOf(config, isTested, countsCorrect),
    stopEarly: config.stopEarly,
    keepBest: config.checkpoint.best,
    minWorkers: config.minWorkers,
    startWorkers: Math.max(config.minWorkers, localWorkers),
    gatherFor: GATHER_FOR,
    ownNames: localWorkerNames(localWorkers),
    checkpointSteps: config.checkpoint.everySteps,
    checkpointEvery: 1000 * config.checkpoint.everySeconds,
    exact: config.exact,
    audit: config.audit,
  };
}

/** Into how many shards works are cut. */
export const shardsOf = ({ shards, testSamples, evaluationChunk }: Settings): Readonly<Record<WorkKind, number>> => ({
  train: shards,
  evaluate: testSamples === 0 ? 1 : evaluationShards(testSamples, evaluationChunk).sizes.length,
});

/** Throws CONFIG_INVALID where there are more steps than those who wait for parameters can be told of. */
function checkSteps(epochs: number, steps: number): void {
  if (epochs * steps <= LAST_VERSION) return;
  const most = LAST_VERSION.toLocaleString("en-US");
  throw new LockstepError(
    "CONFIG_INVALID",
    `${epochs.toLocaleString("en-US")} epochs of ${steps.toLocaleString("en-US")} steps are more than ${most} steps`,
    `train for at most ${Math.floor(LAST_VERSION / steps).toLocaleString("en-US")} epochs`,
  );
}

/** The figure that steers the run. Throws CONFIG_INVALID for one that is never known, or too late. */
function monitorOf(config: RunConfig, isTested: boolean, countsCorrect: boolean): Figure {
  const { monitor, evaluateEvery } = config;
  const figure = monitor ?? (isTested ? "testLoss" : "loss");
  const why =
    figure.startsWith("test") && !isTested
      ? "there is no test data"
      : figure.endsWith("ccuracy") && !countsCorrect
        ? "the model does not predict a score for each of some classes"
        : undefined;
  const steered = steeredBy(config);
  if (why === undefined && figure.startsWith("test") && evaluateEvery === 0 && steered !== undefined)
    throw new LockstepError(
      "CONFIG_INVALID",
      `config: evaluateEvery: 0 evaluates only at the end, and ${steered} goes by ${figure} before it`,
      "Evaluate every so many epochs, or choose what is known without: monitor: loss.",
    );
  if (why === undefined) return figure;
  throw new LockstepError(
    "CONFIG_INVALID",
    `config: monitor: ${figure} is never known: ${why}`,
    "Choose another figure: loss is always known.",
  );
}

/** @param trace whether workers tell when they did what */
export function planOf({ config, model }: Ingredients, settings: Settings, trace: boolean): RunPlan {
  return {
    seed: config.seed,
    data: config.data,
    validation: config.validation,
    dataMemory: config.dataMemory,
    augment: config.augment,
    dataSha256: settings.dataSha256,
    train: encodeGraph(model.train),
    evaluate: encodeGraph(model.evaluate),
    parameters: model.parameters.map(({ name, shape, frozen }) => ({ name, shape, frozen })),
    layoutHash: settings.layoutHash,
    metrics: model.metrics,
    evaluated: model.evaluated,
    batch: batchOf(settings, 0).samples,
    shards: settings.shards,
    isLong: totalSteps(settings) >= LONG_RUN,
    trace,
  };
}
