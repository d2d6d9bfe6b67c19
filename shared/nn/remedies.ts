/** What to do where a layer does not fit what it is given, for shape rules that don't know it themselves. */
import type { LayerSpec } from "./spec.ts";

const images =
  "It takes images: put it in front of the layers that make rows of them, or a reshape to [channels, height, width] before it.";
const sequences = "It takes sequences: put an embedding, or a reshape to [positions, width], before it.";

/** The kinds that are missing take any shape. */
export const remedies: Readonly<Partial<Record<LayerSpec["kind"], string>>> = {
  linear: "Put a reshape before it whose last size is what it is to take.",
  conv2d: `${images} Groups divide its channels and its filters.`,
  maxPool: images,
  averagePool: images,
  globalAveragePool: images,
  layerNorm: "Put a reshape before it whose last size is what it is to normalise.",
  rmsNorm: "Put a reshape before it whose last size is what it is to normalise.",
  groupNorm: "Take a number of groups that divides the channels.",
  embedding: "Put it first: it takes the tokens of the data.",
  positionEmbedding: sequences,
  selfAttention: `${sequences} Its heads divide the width.`,
  residual: "Let its last layer give the shape that its first is given.",
  onnx: "The file's weights want another shape: put layers before it that make it, such as reshape, or take data of that size.",
  reshape: "Give sizes whose product is that of the sizes it is given, without the samples.",
  custom: "The operation is one of the function's own: give it what it wants, or reshape before it.",
};
