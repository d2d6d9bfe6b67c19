import { expect, it } from "vitest";
import { modelFor } from "../../../coordinator/model/model.ts";
import { createDataset, type Dataset, partOf } from "../../../shared/data/dataset.ts";
import type { LossSpec } from "../../../shared/nn/spec.ts";
import { storeModel } from "../../../shared/nn/stored.ts";
import { job } from "../../simulation/job.ts";

/** The graphs that a config with these class weights describes for the data. */
const graphsOf = async (data: Dataset, classWeights: "balanced" | number[], layers = job.config.model.layers) => {
  const loss: LossSpec = { kind: "crossEntropy", classWeights };
  return storeModel(await modelFor({ ...job.config, model: { ...job.config.model, layers, loss } }, data));
};

it("balanced class weights are samples / (classes × samples of the label), and 0 for a label without any", async () => {
  const data = createDataset({
    sampleShape: [1],
    target: { kind: "class", classes: 3 },
    features: new Float32Array(8),
    targets: Int32Array.of(0, 1, 0, 0, 1, 0, 0, 0),
  });
  const balanced = await graphsOf(data, "balanced");
  expect(balanced).toEqual(await graphsOf(data, [8 / 18, 8 / 6, 0]));
  expect(balanced).not.toEqual(await graphsOf(data, [8 / 18, 8 / 6, 1]));
});

it("balanced class weights count the samples that are trained on, not those that are held out", async () => {
  const whole = createDataset({
    sampleShape: [1],
    target: { kind: "class", classes: 3 },
    features: new Float32Array(8),
    targets: Int32Array.of(0, 1, 2, 0, 1, 0, 2, 2),
  });
  const data = partOf(whole, "train", Uint32Array.of(1, 3, 4, 5, 7));
  expect(await graphsOf(data, "balanced")).toEqual(await graphsOf(data, [5 / 6, 5 / 6, 5 / 3]));
});

it("balanced class weights have the mean 1 over labels at each position too", async () => {
  const data = createDataset({
    sampleShape: [2, 1],
    target: { kind: "class", classes: 3, positions: 2 },
    features: new Float32Array(6),
    targets: Int32Array.of(0, 0, 0, 1, 2, 0),
  });
  const layers = [{ kind: "linear", units: 3 }] as const;
  expect(await graphsOf(data, "balanced", layers)).toEqual(await graphsOf(data, [6 / 12, 6 / 3, 6 / 3], layers));
});
