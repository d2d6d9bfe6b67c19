/** The sums behind metrics through the real engine, cut into shards, against plain counting. */
import { describe, expect, it } from "vitest";
import { configFromObject } from "../../../coordinator/config/resolve.ts";
import { measuredBy, modelFor } from "../../../coordinator/model/model.ts";
import { dense, loss, ops, type Tensor } from "../../../coordinator/index.ts";
import type { Dataset } from "../../../shared/data/dataset.ts";
import { onnxRuntimeEngine } from "../../../shared/engine/onnxruntime.ts";
import { fuse } from "../../../shared/graph/fuse.ts";
import { figureName, figuresOf, type MetricSpec } from "../../../shared/nn/metrics.ts";
import { compileModel } from "../../../shared/nn/model.ts";
import type { LossSpec } from "../../../shared/nn/spec.ts";
import type { TargetSpec } from "../../../shared/data/target.ts";
import { runOnce, someNumbers } from "../../support/programs.ts";

const CLASSES = 7;
const shards = [13, 13, 12, 12];
const samples = 50;

/** Scores that are the features themselves: the layer's weights are the unit matrix. */
async function measured(
  target: TargetSpec,
  loss: LossSpec,
  metrics: readonly MetricSpec[],
  targets: readonly number[],
  width: number,
) {
  const model = compileModel({ inputShape: [width], target, layers: [{ kind: "dense", units: width }], loss, metrics });
  const features = someNumbers(samples * width);
  const unit = Array.from({ length: width * width }, (_, at) => (at % (width + 1) === 0 ? 1 : 0));
  const given = { features, targets, "parameter:0.weight": unit, "parameter:0.bias": Array<number>(width).fill(0) };
  const outputs = await runOnce(onnxRuntimeEngine(), fuse(model.evaluate, shards), given);
  const sums = Object.fromEntries(model.evaluated.map(({ name }) => [name, outputs[`metric:${name}`]!]));
  const rows = Array.from({ length: samples }, (_, row) => [...features.subarray(row * width, (row + 1) * width)]);
  return { figures: figuresOf(metrics, target, sums, samples), rows, outputs };
}

describe("of labels", () => {
  const target: TargetSpec = { kind: "class", classes: CLASSES };
  const labels = Array.from({ length: samples }, (_, row) => (row * row + 3 * row) % CLASSES);
  const metrics: MetricSpec[] = [{ kind: "topK", k: 3 }, { kind: "confusion" }, { kind: "perplexity" }];

  it("count each sample once", async () => {
    // Smoothing and weights change the loss and none of these.
    const loss: LossSpec = { kind: "crossEntropy", labelSmoothing: 0.2, classWeights: [1, 2, 3, 0, 1, 1, 1] };
    const { figures, rows } = await measured(target, loss, metrics, labels, CLASSES);
    const rank = (row: number): number => rows[row]!.filter((score) => score > rows[row]![labels[row]!]!).length;
    expect(figures["top3"]).toBe(labels.filter((_, row) => rank(row) < 3).length / samples);
    const confusion = Array.from({ length: CLASSES }, () => Array<number>(CLASSES).fill(0));
    labels.forEach((label, row) => void (confusion[label]![rows[row]!.indexOf(Math.max(...rows[row]!))]! += 1));
    expect(figures["confusion"]).toEqual(confusion);
    const surprise = labels.map((label, row) => {
      const total = rows[row]!.reduce((sum, score) => sum + Math.exp(score), 0);
      return Math.log(total) - rows[row]![label]!;
    });
    const mean = surprise.reduce((sum, value) => sum + value, 0) / samples;
    expect(Math.abs((figures["perplexity"] as number) / Math.exp(mean) - 1)).toBeLessThan(1e-6);
  });

  it.each([
    [709, true],
    [710, false],
    [1e38, false],
  ])("give a perplexity at a cross-entropy of %d: %s, and checkpoints can hold it", (loss, given) => {
    const figures = figuresOf([{ kind: "perplexity" }], target, { perplexity: [4 * loss] }, 4);
    expect(Object.keys(figures)).toEqual(given ? ["perplexity"] : []);
    expect(Object.values(figures).every((figure) => Number.isFinite(figure))).toBe(true);
  });

  it("takes the label's score as the largest of equal ones", async () => {
    const model = compileModel({
      inputShape: [3],
      target: { kind: "class", classes: 3 },
      layers: [{ kind: "dense", units: 3 }],
      loss: { kind: "crossEntropy" },
      metrics: [{ kind: "topK", k: 1 }],
    });
    const given = {
      features: Array<number>(12).fill(0),
      targets: [0, 1, 2, 2],
      "parameter:0.weight": Array<number>(9).fill(0),
      "parameter:0.bias": [1, 1, 2],
    };
    const outputs = await runOnce(onnxRuntimeEngine(), fuse(model.evaluate, [4]), given);
    expect([...outputs["metric:top1"]!]).toEqual([2]);
  });

  it("count each position of a sequence in the table, and of shares take the mean over them", async () => {
    const positions = 3;
    const model = compileModel({
      inputShape: [positions, 3],
      target: { kind: "class", classes: 3, positions },
      layers: [{ kind: "linear", units: 3, bias: false }],
      loss: { kind: "crossEntropy" },
      metrics: [{ kind: "confusion" }, { kind: "topK", k: 1 }],
    });
    const answers = [0, 1, 1, 2, 2, 0, 0, 1, 2, 0, 0, 0];
    const given = {
      features: answers.flatMap((answer) => [0, 1, 2].map((place) => (place === answer ? 1 : 0))),
      targets: answers.map((answer, at) => (at < 4 ? answer : (answer + 1) % 3)),
      "parameter:0.weight": [1, 0, 0, 0, 1, 0, 0, 0, 1],
    };
    const outputs = await runOnce(onnxRuntimeEngine(), fuse(model.evaluate, [2, 2]), given);
    expect([...outputs["metric:confusion"]!]).toEqual([1, 0, 2, 5, 2, 0, 0, 1, 1]);
    expect(outputs["metric:top1"]![0]).toBeCloseTo(4 / positions, 6);
  });

  it("weigh the loss of each sample by its label, and the gradient with it", async () => {
    const weights = [1, 2, 3, 0, 1, 1, 0.5];
    const loss: LossSpec = { kind: "crossEntropy", classWeights: weights };
    const { outputs, rows } = await measured(target, loss, [], labels, CLASSES);
    const total = labels.reduce((sum, label, row) => {
      const normaliser = Math.log(rows[row]!.reduce((exponentials, score) => exponentials + Math.exp(score), 0));
      return sum + weights[label]! * (normaliser - rows[row]![label]!);
    }, 0);
    expect(Math.abs(outputs["metric:loss"]![0]! / total - 1)).toBeLessThan(1e-6);
  });

  it.each<[MetricSpec, string]>([
    [{ kind: "topK", k: 7 }, "topK counts 7 of 7 classes"],
    [{ kind: "meanAbsoluteError" }, "meanAbsoluteError needs real values as targets"],
  ])("refuse %j", (metric, message) => {
    const spec = {
      inputShape: [2],
      target,
      layers: [{ kind: "dense", units: CLASSES } as const],
      loss: { kind: "crossEntropy" } as const,
    };
    expect(() => compileModel({ ...spec, metrics: [metric] })).toThrow(message);
    expect(() => compileModel({ ...spec, loss: { kind: "crossEntropy", classWeights: [1, 2] } })).toThrow(
      "loss.classWeights is [1, 2], the data has 7 classes",
    );
  });
});

describe("of real values", () => {
  it.each<["meanSquaredError" | "binaryCrossEntropy", (score: number) => number]>([
    ["meanSquaredError", (score) => score],
    ["binaryCrossEntropy", (score) => 1 / (1 + Math.exp(-score))],
  ])("are errors of the prediction, under %s", async (kind, prediction) => {
    const target: TargetSpec = { kind: "values", width: 2 };
    const targets = [...someNumbers(2 * samples, 9)].map((value) => Math.abs(value));
    const metrics: MetricSpec[] = [{ kind: "meanAbsoluteError" }, { kind: "rootMeanSquaredError" }];
    const { figures, rows } = await measured(target, { kind }, metrics, targets, 2);
    const errors = rows.flat().map((score, at) => prediction(score) - targets[at]!);
    const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
    expect(figures["meanAbsoluteError"]).toBeCloseTo(mean(errors.map(Math.abs)), 6);
    expect(figures["rootMeanSquaredError"]).toBeCloseTo(Math.sqrt(mean(errors.map((error) => error * error))), 6);
  });
});

describe("under a loss of one's own whose output is no prediction", () => {
  /** Mean and logarithm of the variance of each target. */
  const gaussian = (width: number, predict?: (output: Tensor) => Tensor): LossSpec =>
    loss(
      "gaussian",
      (output, targets) => {
        const [mean, spread] = [ops.slice(output, 1, 0, width), ops.slice(output, 1, width, 2 * width)];
        const error = ops.subtract(targets, mean);
        const likelihood = ops.multiply(ops.multiply(error, error), ops.exp(ops.scale(spread, -1)));
        return ops.sum(ops.add(spread, likelihood), [1]);
      },
      predict,
    );
  const measures = async (
    target: TargetSpec,
    outputs: number,
    own: LossSpec,
    metrics?: readonly MetricSpec[],
  ): Promise<string[]> => {
    const model = { layers: [dense(outputs)], loss: own };
    const config = configFromObject({ model, ...(metrics === undefined ? {} : { metrics }) });
    const data = { sampleShape: [3], target } as unknown as Dataset;
    return measuredBy(await modelFor(config, data), config, data).map(figureName);
  };
  const values = (width: number): TargetSpec => ({ kind: "values", width });

  it.each([1, 2])("the usual ones are left out, with %d targets", async (width) => {
    expect(await measures(values(width), 2 * width, gaussian(width))).toEqual([]);
    const predicted = gaussian(width, (output) => ops.slice(output, 1, 0, width));
    expect(await measures(values(width), 2 * width, predicted)).toEqual(["meanAbsoluteError", "rootMeanSquaredError"]);
  });

  it("those asked for are refused by name", async () => {
    await expect(measures(values(2), 4, gaussian(2), [{ kind: "meanAbsoluteError" }])).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      message: "metrics: meanAbsoluteError compares [samples, 4] with targets [samples, 2]",
      hint: "Give the loss a `predict` of the targets' shape, or metrics: [].",
    });
    const first = loss("first", (output) => ops.sum(output, [1]));
    await expect(measures({ kind: "class", classes: 7 }, 5, first, [{ kind: "confusion" }])).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      message: "metrics: confusion compares [samples, 5] with targets [samples] of 7 classes",
      hint: "Give the loss a `predict` of shape [samples, 7], or metrics: [].",
    });
  });
});
