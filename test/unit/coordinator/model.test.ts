import { expect, it } from "vitest";
import { modelFor } from "../../../coordinator/model/model.ts";
import { createDataset } from "../../../shared/data/dataset.ts";
import type { LossSpec } from "../../../shared/nn/spec.ts";
import { storeModel } from "../../../shared/nn/stored.ts";
import { job } from "../../simulation/job.ts";

it("balanced class weights are samples / (classes × samples of the label), and 0 for a label without any", async () => {
  const data = createDataset({
    sampleShape: [1],
    target: { kind: "class", classes: 3 },
    features: new Float32Array(8),
    targets: Int32Array.of(0, 1, 0, 0, 1, 0, 0, 0),
  });
  const graphsWith = async (classWeights: "balanced" | number[]) => {
    const loss: LossSpec = { kind: "crossEntropy", classWeights };
    return storeModel(await modelFor({ ...job.config, model: { ...job.config.model, loss } }, data));
  };
  const balanced = await graphsWith("balanced");
  expect(balanced).toEqual(await graphsWith([8 / 18, 8 / 6, 0]));
  expect(balanced).not.toEqual(await graphsWith([8 / 18, 8 / 6, 1]));
});
