import { expect, it } from "vitest";
import { createDataset, type DatasetContent } from "../../../shared/data/dataset.ts";
import { failureOf } from "../../support/errors.ts";

const labelled: DatasetContent = {
  sampleShape: [2],
  target: { kind: "class", classes: 3 },
  features: Float32Array.of(1, 2, 3, 4),
  targets: Int32Array.of(0, 2),
};
const valued: DatasetContent = { ...labelled, target: { kind: "values", width: 1 }, targets: Float32Array.of(0, 2) };

it.each<[what: string, content: DatasetContent, message: string]>([
  ["no samples", { ...labelled, features: new Float32Array() }, "0 feature values are no whole number of samples"],
  [
    "half a sample",
    { ...labelled, features: new Float32Array(3) },
    "3 feature values are no whole number of samples of shape [2]",
  ],
  [
    "samples without features",
    { ...labelled, sampleShape: [0] },
    "4 feature values are no whole number of samples of shape [0]",
  ],
  ["a target too few", { ...labelled, targets: Int32Array.of(1) }, "2 samples need 2 targets, found 1"],
  [
    "floats as labels",
    { ...labelled, targets: Float32Array.of(0, 1) },
    'targets of kind "class" must be an Int32Array',
  ],
  [
    "integers as values",
    { ...valued, targets: Int32Array.of(0, 1) },
    'targets of kind "values" must be a Float32Array',
  ],
  [
    "a label too large",
    { ...labelled, targets: Int32Array.of(0, 3) },
    "the target of sample 1 is 3, expected a label from 0 to 2",
  ],
  ["a negative label", { ...labelled, targets: Int32Array.of(-1, 0) }, "the target of sample 0 is -1"],
  [
    "a value that is not finite",
    { ...valued, targets: Float32Array.of(0, NaN) },
    "the target of sample 1 is NaN, expected a finite number",
  ],
  [
    "a feature that is not finite",
    { ...valued, features: Float32Array.of(1, 2, 3, Infinity) },
    "feature 1 of sample 1 is Infinity",
  ],
])("refuses %s", async (_, content, message) => {
  const error = await failureOf(() => createDataset(content));
  expect(error.code).toBe("DATA_INVALID");
  expect(error.message).toContain(message);
});

it("keeps its own copy of arrays that are not shared", () => {
  const features = Float32Array.of(1, 2, 3, 4);
  const dataset = createDataset({ ...labelled, features });
  features[0] = 9;
  const row = new Float32Array(2);
  dataset.batch([0], row, new Int32Array(1));
  expect(row).toEqual(Float32Array.of(1, 2));
});
