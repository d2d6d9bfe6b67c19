/**
 * Normalisations. Batch norm has the statistics that the file holds, which stay as they are, as it has them in use; its scale
 * and shift train. So a sample's gradient does not depend on its batch, and sums are exact over any number of workers.
 */
import { product } from "../../../shape.ts";
import type { Tensor } from "../../operation.ts";
import { add, divide, multiply, offset, subtract } from "../../operations/arithmetic.ts";
import { reshape } from "../../operations/broadcast.ts";
import { sqrt } from "../../operations/elementwise.ts";
import { normalise, scaleToUnit } from "../../operations/normalise.ts";
import type { Dim } from "../../values.ts";
import type { NodeContext, Rules } from "./context.ts";
import { ofTensor } from "./value.ts";

const EPSILON = 1e-5;

/** A value for each channel, against [n, channels, …]. */
const byChannel = (vector: Tensor, x: Tensor): Tensor =>
  reshape(vector, [x.shape[1]!, ...x.shape.slice(2).map(() => 1)]);

function batchNormalised(node: NodeContext): Tensor {
  node.without(
    "training_mode",
    node.number("training_mode", 0) === 1,
    "Export the model in evaluation mode: model.eval().",
  );
  const [x, scale, shift] = [node.tensor(0), node.tensor(1), node.tensor(2)];
  const [mean, variance] = [node.statistic(3), node.statistic(4)];
  const factor = divide(scale, sqrt(offset(variance, node.number("epsilon", EPSILON))));
  return add(multiply(x, byChannel(factor, x)), byChannel(subtract(shift, multiply(mean, factor)), x));
}

/** Rows of everything from an axis on, normalised; then the file's scale and shift. */
function layerNormalised(node: NodeContext): Tensor {
  const x = node.tensor(0);
  const axis = node.axis(node.number("axis", -1), x.shape.length);
  const width = product(x.shape.slice(axis) as number[]);
  const rows = reshape(x, [...x.shape.slice(0, axis), width]);
  const y = reshape(normalise(rows, node.number("epsilon", EPSILON)), x.shape);
  const scaled = multiply(y, node.tensor(1));
  return node.has(2) ? add(scaled, node.tensor(2)) : scaled;
}

function rmsNormalised(node: NodeContext): Tensor {
  const x = node.tensor(0);
  const axis = node.axis(node.number("axis", -1), x.shape.length);
  const rows = reshape(x, [...x.shape.slice(0, axis), product(x.shape.slice(axis) as number[])]);
  return multiply(reshape(scaleToUnit(rows, node.number("epsilon", EPSILON)), x.shape), node.tensor(1));
}

/** Groups of channels normalised; a scale and shift for each channel, or in old files for each group. */
function groupNormalised(node: NodeContext, groups: number): Tensor {
  const x = node.tensor(0);
  const [samples, channels, ...inner] = x.shape as [Dim, number, ...number[]];
  const each = (channels / groups) * product(inner);
  const y = reshape(normalise(reshape(x, [samples, groups, each]), node.number("epsilon", EPSILON)), x.shape);
  const [scale, shift] = [node.tensor(1), node.tensor(2)];
  if (scale.shape[0] === channels) return add(multiply(y, byChannel(scale, x)), byChannel(shift, x));
  const grouped = reshape(y, [samples, groups, each]);
  const column = (vector: Tensor): Tensor => reshape(vector, [groups, 1]);
  return reshape(add(multiply(grouped, column(scale)), column(shift)), x.shape);
}

export const normRules: Rules = {
  BatchNormalization: (node) => ofTensor(batchNormalised(node)),
  LayerNormalization: (node) => ofTensor(layerNormalised(node)),
  RMSNormalization: (node) => ofTensor(rmsNormalised(node)),
  GroupNormalization: (node) => ofTensor(groupNormalised(node, node.number("num_groups", 1))),
  InstanceNormalization: (node) => ofTensor(groupNormalised(node, node.tensor(0).shape[1] as number)),
};
