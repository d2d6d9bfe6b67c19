/** What fits together in a config only with other fields, and no schema of one field can say. */
import type { LayerSpec } from "../../shared/nn/spec.ts";
import type { RunConfig } from "./config.ts";
import type { Problem } from "./problems.ts";
import { targetsOf } from "./schema.ts";

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
