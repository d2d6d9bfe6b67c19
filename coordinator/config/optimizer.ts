/**
 * The schema of `optimizer`. Options left out mean what shared/optim/spec.ts says; the learning rate is filled in here,
 * with PyTorch's values but for sgd, whose 0.001 is too small to be useful.
 */
import type { OptimizerSpec } from "../../shared/optim/spec.ts";
import { choice, fraction, notNegative, positive, yesOrNo, type Forms } from "./fields.ts";

const common = (learningRate: number) => ({
  learningRate: positive.default(learningRate),
  clipNorm: positive.exactOptional(),
  weightDecay: notNegative.exactOptional(),
});

const adamOptions = {
  ...common(0.001),
  beta1: fraction.exactOptional(),
  beta2: fraction.exactOptional(),
  epsilon: positive.exactOptional(),
};

const forms: Forms<OptimizerSpec> = {
  sgd: { ...common(0.1), momentum: fraction.exactOptional(), nesterov: yesOrNo.exactOptional() },
  adam: adamOptions,
  adamw: adamOptions,
  rmsprop: {
    ...common(0.01),
    alpha: fraction.exactOptional(),
    epsilon: positive.exactOptional(),
    momentum: fraction.exactOptional(),
  },
  adagrad: { ...common(0.01), epsilon: positive.exactOptional() },
};

export const optimizerSchema = choice<OptimizerSpec>(forms);
