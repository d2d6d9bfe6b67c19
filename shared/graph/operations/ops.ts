/**
 * The operations that layers and losses of one's own are written from, the package's `ops`. Each takes and returns tensors of
 * a graph, checks shapes at once, and has a derivative unless its description says otherwise. Axis 0 of what comes from the data
 * counts the samples, and stays; negative axes count from the end.
 */
export {
  add,
  clamp,
  complement,
  divide,
  equal,
  greater,
  maximum,
  minimum,
  multiply,
  offset,
  scale,
  select,
  subtract,
} from "./arithmetic.ts";
export { concat, lowerTriangle, pad, slice, swapLast, transpose } from "./arrange.ts";
export { averagePool, globalAveragePool } from "./average-pool.ts";
export { batchMatmul } from "./batch-matmul.ts";
export { expand, flatten, reshape } from "./broadcast.ts";
export { conv2d } from "./convolution.ts";
export {
  absolute,
  ceil,
  erf,
  exp,
  floor,
  log,
  power,
  relu,
  round,
  sigmoid,
  sign,
  softplus,
  sqrt,
  step,
  tanh,
} from "./elementwise.ts";
export { crossEntropy, oneHot } from "./labels.ts";
export { lookup, sumByRow } from "./lookup.ts";
export { linear, matmul } from "./matmul.ts";
export { maxPool } from "./max-pool.ts";
export { normalise, scaleToUnit } from "./normalise.ts";
export { largest, mean, smallest, sumInner as sum } from "./reduce.ts";
export { hardmax, logSoftmax, softmax } from "./softmax.ts";
export { fill } from "./source.ts";
