/**
 * The schemas of `optimizer`, `schedule` and `groups`. Options left out mean what shared/optim/spec.ts says; the learning rate is filled in here,
 * with PyTorch's values but for sgd, whose 0.001 is too small to be useful.
 */
import { z } from "zod";
import type { ScheduleSpec } from "../../shared/optim/schedule.ts";
import type { OptimizerSpec, ParameterGroup } from "../../shared/optim/spec.ts";
import {
  aboveZeroToOne,
  choice,
  fraction,
  notNegative,
  positive,
  share,
  strict,
  text,
  wholeNumber,
  yesOrNo,
  type Forms,
} from "./fields.ts";

const common = (learningRate: number) => ({
  learningRate: positive.default(learningRate),
  clipNorm: positive.exactOptional(),
  clipValue: positive.exactOptional(),
  weightDecay: notNegative.exactOptional(),
});

const adamOptions = {
  ...common(0.001),
  beta1: fraction.exactOptional(),
  beta2: fraction.exactOptional(),
  epsilon: positive.exactOptional(),
};

const optimizerForms: Forms<OptimizerSpec> = {
  sgd: { ...common(0.1), momentum: fraction.exactOptional(), nesterov: yesOrNo.exactOptional() },
  adam: adamOptions,
  adamw: adamOptions,
  lamb: adamOptions,
  rmsprop: {
    ...common(0.01),
    alpha: fraction.exactOptional(),
    epsilon: positive.exactOptional(),
    momentum: fraction.exactOptional(),
  },
  adagrad: { ...common(0.01), epsilon: positive.exactOptional() },
};

export const optimizerSchema = choice<OptimizerSpec>(optimizerForms);

const everySchedule = { warmUp: notNegative.exactOptional(), baseBatch: wholeNumber(1).exactOptional() };
const finiteSchedule = { ...everySchedule, epochs: positive.exactOptional(), final: share.exactOptional() };

export const scheduleForms: Forms<ScheduleSpec> = {
  constant: everySchedule,
  step: { ...everySchedule, every: positive, factor: aboveZeroToOne.exactOptional() },
  exponential: { ...everySchedule, factor: aboveZeroToOne },
  cosine: finiteSchedule,
  polynomial: { ...finiteSchedule, power: positive.exactOptional() },
  oneCycle: { ...finiteSchedule, rise: share.exactOptional(), start: share.exactOptional() },
  plateau: {
    ...everySchedule,
    factor: aboveZeroToOne.exactOptional(),
    patience: wholeNumber(0).exactOptional(),
    threshold: fraction.exactOptional(),
    final: share.exactOptional(),
  },
};

export const scheduleShort = { step: "every", exponential: "factor" };
export const scheduleSchema = choice<ScheduleSpec>(scheduleForms, { short: scheduleShort });

const names = "a parameter's name or a list of them, with * for any characters; or vectors, for all of one dimension";

export const groupsSchema: z.ZodType<ParameterGroup[]> = z.array(
  strict({
    parameters: z.union([text(names), z.array(text(names)).min(1, { error: names })], { error: names }),
    weightDecay: notNegative.exactOptional(),
    learningRateFactor: notNegative.exactOptional(),
    frozen: yesOrNo.exactOptional(),
  }),
  { error: "a list of groups of parameters" },
);
