/**
 * Lockstep's public API: `import { train, sequential, dense } from "lockstep"`. Importing it throws NODE_TOO_OLD below Node
 * 24; the error says what to do.
 */
import { checkNodeVersion } from "./node-version.ts";

checkNodeVersion();

export { train, type TrainOptions } from "./train.ts";
export type { TrainConfig } from "./config/resolve.ts";
export type { RunConfig } from "./config/config.ts";
export type { RunEvent, RunProfile, RunResult } from "./events.ts";
export {
  averagePool,
  binaryCrossEntropy,
  conv2d,
  crossEntropy,
  dense,
  dropout,
  elu,
  embedding,
  flatten,
  functional,
  gelu,
  geluTanh,
  globalAveragePool,
  groupNorm,
  layer,
  layerNorm,
  leakyRelu,
  linear,
  loss,
  maxPool,
  meanSquaredError,
  onnx,
  positionEmbedding,
  relu,
  reshape,
  residual,
  rmsNorm,
  selfAttention,
  sequential,
  sigmoid,
  silu,
  softmax,
  softplus,
  tanh,
  transformerBlock,
} from "../shared/nn/builders.ts";
export type { Figures, MetricSpec } from "../shared/nn/metrics.ts";
export type { Activation } from "../shared/nn/activations.ts";
export type { Initialiser } from "../shared/nn/initialisers.ts";
export type {
  LayerContext,
  LayerFunction,
  LayerSpec,
  LossFunctions,
  LossSpec,
  ParameterSpec,
} from "../shared/nn/spec.ts";
export { ops } from "../shared/graph/operations/checked.ts";
export type { Tensor } from "../shared/graph/operation.ts";
export type { Shape } from "../shared/graph/values.ts";
export {
  adagrad,
  adam,
  adamw,
  constant,
  cosine,
  exponential,
  lamb,
  oneCycle,
  polynomial,
  reduceOnPlateau,
  rmsprop,
  sgd,
  stepwise,
} from "../shared/optim/builders.ts";
export type { ScheduleSpec } from "../shared/optim/schedule.ts";
export type { OptimizerSpec, ParameterGroup } from "../shared/optim/spec.ts";
export type { AugmentSpec } from "../shared/data/augment.ts";
export type { OwnDataset as Dataset } from "../shared/data/own.ts";
export type { DataSpec } from "../shared/data/spec.ts";
export type { TargetSpec } from "../shared/data/target.ts";
export { LockstepError, type ErrorCode } from "../shared/errors.ts";
