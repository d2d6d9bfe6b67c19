/**
 * What every simulation trains: 37 samples in batches of 12 (the last has 1), 5 shards, 3 epochs, Adam, dropout, a
 * frozen matrix, and an evaluation on 11 samples in chunks of 3 after each epoch. Small, so that thousands of schedules take a minute.
 */
import { configFromObject } from "../../coordinator/config/resolve.ts";
import type { Settings } from "../../coordinator/core/settings.ts";
import { planOf, settingsOf, shardsOf } from "../../coordinator/run/plan.ts";
import type { Ingredients } from "../../coordinator/run/ingredients.ts";
import { createDataset } from "../../shared/data/dataset.ts";
import type { Dataset } from "../../shared/data/dataset.ts";
import { forRun } from "../../shared/data/open.ts";
import { wholeReading } from "../../shared/data/reading.ts";
import { partialLayouts } from "../../shared/gradient/partial.ts";
import { compileModel } from "../../shared/nn/model.ts";
import { isFrozenBy } from "../../shared/optim/segments.ts";
import { SEGMENT_BYTES } from "../../shared/protocol/messages.ts";
import { randomStream } from "../../shared/random.ts";

export const SAMPLES = 37;
const TEST_SAMPLES = 11;
const FEATURES = 3;
const CLASSES = 3;
const EVALUATION_CHUNK = 3;
const SHARDS = 5;

/** The first feature names the sample, so that the arithmetic can say which ones it was given. */
const mark = (sample: number): number => sample / 16 - 1;
export const sampleOf = (feature: number): number => Math.round((feature + 1) * 16);

function samples(count: number, first: number): Dataset {
  const { normal } = randomStream(11, "split");
  const features = Float32Array.from({ length: count * FEATURES }, (_, index) =>
    index % FEATURES === 0 ? mark(first + index / FEATURES) : normal(first * FEATURES + index),
  );
  const targets = Int32Array.from({ length: count }, (_, row) => (first + row * row) % CLASSES);
  return createDataset({ sampleShape: [FEATURES], target: { kind: "class", classes: CLASSES }, features, targets });
}

/** Clipped to a length, a step needs the whole sum; else it is taken part by part, which small segments show. */
const clip = SEGMENT_BYTES > 1_024 ? { clipNorm: 1 } : { clipValue: 0.01 };

const config = configFromObject({
  name: "simulated",
  seed: 7,
  data: { kind: "idx", path: "nowhere" },
  model: {
    layers: [
      { kind: "dense", units: 4, activation: "tanh" },
      { kind: "dropout", rate: 0.2 },
      { kind: "dense", units: CLASSES },
    ],
    loss: { kind: "crossEntropy" },
  },
  optimizer: { kind: "adam", learningRate: 0.05, ...clip },
  // A rate that depends on the step and on what was evaluated before it.
  schedule: { kind: "plateau", warmUp: 0.5, patience: 0, threshold: 0.5, factor: 0.5 },
  groups: [
    { parameters: "vectors", weightDecay: 0, learningRateFactor: 2 },
    { parameters: ["0.weight"], frozen: true },
  ],
  average: 0.9,
  batch: 12,
  shards: SHARDS,
  epochs: 3,
  evaluateEvery: 1,
  checkpoint: { best: true },
  metrics: [{ kind: "confusion" }, { kind: "topK", k: 2 }, { kind: "perplexity" }],
});
const model = compileModel(
  {
    inputShape: [FEATURES],
    target: { kind: "class", classes: CLASSES },
    layers: config.model.layers,
    loss: config.model.loss,
    metrics: config.metrics ?? [],
  },
  isFrozenBy(config.groups),
);
const layouts = partialLayouts(model.parameters, model.metrics, model.evaluated);
export const data = forRun({ train: samples(SAMPLES, 0), test: samples(TEST_SAMPLES, SAMPLES) }, wholeReading);
const ingredients: Ingredients = { config, data, model, layouts };
const settings: Settings = { ...settingsOf(ingredients, "simulated-run", 0), evaluationChunk: EVALUATION_CHUNK };

export const job = {
  config,
  model,
  layouts,
  settings,
  plan: planOf(ingredients, settings, false),
  shards: shardsOf(settings),
};
