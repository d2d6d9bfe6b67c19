/** Operations on class labels, which are int32 [samples]: one-hot rows, and the cross-entropy of scores. */
import { defineOperation, type Tensor } from "../operation.ts";
import { type Dim, shapeMismatch } from "../values.ts";
import { multiply, subtract } from "./arithmetic.ts";
import { expand, reshape } from "./broadcast.ts";
import { softmax } from "./softmax.ts";

const oneHotOperation = defineOperation({
  name: "oneHot",
  rows: "independent",
  attributes: { classes: "integer" },
  infer(inputs, { classes }) {
    const [labels] = inputs;
    if (inputs.length !== 1 || labels?.dtype !== "int32" || labels.shape.length !== 1) {
      throw shapeMismatch("oneHot", "int32 labels [n]", inputs);
    }
    return { shape: [labels.shape[0] as Dim, classes], dtype: "float32" };
  },
  gradient: () => [],
  emit({ inputs, attributes, node, constant, output }) {
    const depth = constant("int32", [], [attributes.classes]);
    node("OneHot", [...inputs, depth, constant("float32", [2], [0, 1])], { axis: -1 }, output);
  },
  evaluate([labels], output, { classes }) {
    output.data.fill(0);
    labels?.data.forEach((label, row) => void (output.data[row * classes + label] = 1));
  },
});

/** [samples] → [samples, classes], 1 at the label. */
export const oneHot = (labels: Tensor, classes: number): Tensor => labels.apply(oneHotOperation, [labels], { classes });

const crossEntropyOperation = defineOperation({
  name: "crossEntropy",
  rows: "independent",
  attributes: {},
  infer(inputs) {
    const [scores, labels] = inputs;
    const fits =
      scores?.dtype === "float32" &&
      scores.shape.length === 2 &&
      labels?.dtype === "int32" &&
      labels.shape.length === 1;
    if (!fits || inputs.length !== 2 || JSON.stringify(scores.shape[0]) !== JSON.stringify(labels.shape[0])) {
      throw shapeMismatch("crossEntropy", "float32 scores [n, classes] and int32 labels [n]", inputs);
    }
    return { shape: [scores.shape[0] as Dim], dtype: "float32" };
  },
  gradient({ inputs: [scores, labels], gradient }) {
    if (scores === undefined || labels === undefined) return [];
    const [samples, classes] = scores.shape as [Dim, number];
    const error = subtract(softmax(scores), oneHot(labels, classes));
    return [multiply(error, expand(reshape(gradient, [samples, 1]), scores.shape))];
  },
  emit({ inputs: [scores, labels], inputTypes: [, labelType], outputType, node, shapeConstant, output }) {
    const column = node("Reshape", [labels as string, shapeConstant([labelType?.shape[0] ?? 1, 1])]);
    const logarithms = node("LogSoftmax", [scores as string], { axis: -1 });
    const picked = node("GatherElements", [logarithms, column], { axis: 1 });
    node("Reshape", [node("Neg", [picked]), shapeConstant(outputType.shape)], {}, output);
  },
  evaluate([scores, labels], output) {
    if (scores === undefined || labels === undefined) return;
    const classes = scores.shape[1] as number;
    labels.data.forEach((label, row) => {
      const own = [...scores.data.subarray(row * classes, (row + 1) * classes)];
      const largest = Math.max(...own);
      const total = own.reduce((sofar, score) => sofar + Math.exp(score - largest), 0);
      output.data[row] = Math.log(total) + largest - (own[label] as number);
    });
  },
});

/** −log softmax(scores)[label] for every sample; its gradient is softmax(scores) − one-hot(label). */
export const crossEntropy = (scores: Tensor, labels: Tensor): Tensor =>
  scores.apply(crossEntropyOperation, [scores, labels], {});

export const labelOperations = [oneHotOperation, crossEntropyOperation];
