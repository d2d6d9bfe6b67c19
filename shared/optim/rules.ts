/**
 * The rules optimizers are composed of, in the manner of Optax: each turns an update (at first the mean gradient) into
 * another one, and some keep a state vector between steps. A rule is elementwise, reads the state before the step and
 * writes the state after it, so the step can be dropped until it is committed.
 *
 * Rules see one chunk of the vectors at a time and don't know which.
 */
import { integerPower } from "../elementary.ts";
import type { Kernels, StepBySum } from "../kernels/index.ts";

/** One stretch of all vectors; places are byte offsets. */
export interface Stretch {
  /** Floats in the stretch. */
  readonly count: number;
  /** Counts steps from 1. */
  readonly stepNumber: number;
  /** The parameters before the step; read only. */
  readonly parameters: number;
  /** The parameters after the step; not there yet where rules are applied one by one. */
  readonly nextParameters: number;
  /** Where a rule may write its update; may be the place it reads its update from. */
  readonly scratch: number;
  /** A state vector before the step; read only. */
  readonly previous: (stateName: string) => number;
  /** The same state vector after the step. */
  readonly next: (stateName: string) => number;
}

export interface Rule {
  /** State vectors, zero before the first step. */
  readonly stateNames: readonly string[];
  /** Takes the place of an update, returns the place of the new one: `scratch` or a state after the step. */
  apply(kernels: Kernels, update: number, stretch: Stretch): number;
  /** The whole step where there is no other rule, if there is a kernel for it. */
  readonly alone?: WholeStep;
}

/**
 * A step in one pass over memory, with the bits of the division of the summed gradient, the rules and the step itself one after the
 * other. `divisor` makes the sum the mean gradient.
 */
export interface WholeStep {
  /** Whether the mean gradient and the next parameters are finite. @param gradient its place; it is not written */
  take(kernels: Kernels, gradient: number, divisor: number, learningRate: number, stretch: Stretch): boolean;
  /** Of the gradient that is the sum of two vectors, whole 64-byte lines, which are not written. */
  takeBySum(kernels: Kernels, summands: Summands, divisor: number, learningRate: number, stretch: Stretch): StepBySum;
}

/** Where two vectors are that want adding. */
export interface Summands {
  readonly left: number;
  readonly right: number;
}

/** θ − rate · u: the step without a rule. */
const plainStep: WholeStep = {
  take: (kernels, gradient, divisor, rate, { nextParameters, parameters, count }) =>
    kernels.descend(nextParameters, parameters, gradient, divisor, rate, count),
  takeBySum: (kernels, { left, right }, divisor, rate, { nextParameters, parameters, count }) =>
    kernels.descendBySum(nextParameters, parameters, left, right, divisor, rate, count),
};

/** The step with these rules, if it can be taken in one pass. */
export const inOnePass = ([first, ...others]: readonly Rule[]): WholeStep | undefined =>
  first === undefined ? plainStep : others.length === 0 ? first.alone : undefined;

/** u cut to −limit … limit, entry by entry. */
export const clip = (limit: number): Rule => ({
  stateNames: [],
  apply(kernels, update, { scratch, count }) {
    kernels.clamp(scratch, update, limit, count);
    return scratch;
  },
});

/** u + decay · θ: before the other rules it is L2 regularisation, behind them decoupled decay (Loshchilov, Hutter 2019). */
export const weightDecay = (decay: number): Rule => ({
  stateNames: [],
  apply(kernels, update, { scratch, parameters, count }) {
    kernels.weightedSum(scratch, update, parameters, 1, decay, count);
    return scratch;
  },
});

/** b = momentum · b + u; the new update is b, or with Nesterov's look-ahead u + momentum · b (Sutskever et al. 2013). */
export const trace = (momentum: number, nesterov: boolean): Rule => ({
  stateNames: ["momentum"],
  apply(kernels, update, { scratch, count, previous, next }) {
    const accumulated = next("momentum");
    kernels.weightedSum(accumulated, previous("momentum"), update, momentum, 1, count);
    if (!nesterov) return accumulated;
    kernels.weightedSum(scratch, update, accumulated, 1, momentum, count);
    return scratch;
  },
  ...(!nesterov && { alone: stepWithMomentum(momentum) }),
});

/** θ − rate · b. */
const stepWithMomentum = (momentum: number): WholeStep => ({
  take(kernels, gradient, divisor, rate, { nextParameters: out, parameters, count, previous, next }) {
    const [after, before] = [next("momentum"), previous("momentum")];
    return kernels.descendWithMomentum(out, after, parameters, before, gradient, divisor, momentum, rate, count);
  },
  takeBySum(kernels, { left, right }, divisor, rate, { nextParameters: out, parameters, count, previous, next }) {
    const [after, before] = [next("momentum"), previous("momentum")];
    const summed = [left, right, divisor, momentum, rate, count] as const;
    return kernels.descendBySumWithMomentum(out, after, parameters, before, ...summed);
  },
});

/**
 * Adam (Kingma, Ba 2015): m = β₁m + (1 − β₁)u, v = β₂v + (1 − β₂)u², the new update is m̂ / (√v̂ + ε) with
 * m̂ = m / (1 − β₁ᵗ) and v̂ = v / (1 − β₂ᵗ) at step t.
 */
export const scaleByAdam = (beta1: number, beta2: number, epsilon: number): Rule => ({
  stateNames: ["mean", "variance"],
  apply(kernels, update, { scratch, count, stepNumber, previous, next }) {
    const mean = next("mean");
    const variance = next("variance");
    kernels.weightedSum(mean, previous("mean"), update, beta1, 1 - beta1, count);
    kernels.weightedSumOfSquares(variance, previous("variance"), update, beta2, 1 - beta2, count);
    const meanScale = 1 / (1 - integerPower(beta1, stepNumber));
    const varianceScale = 1 / (1 - integerPower(beta2, stepNumber));
    kernels.divideByRoot(scratch, mean, variance, meanScale, varianceScale, aboveZero(epsilon), count);
    return scratch;
  },
});

/**
 * s = keep · s + add · u², the new update is u / (√s + ε). RMSprop (Hinton 2012) keeps α and adds 1 − α; Adagrad
 * (Duchi, Hazan, Singer 2011) keeps and adds all.
 */
export const scaleByRootOfSquares = (keep: number, add: number, epsilon: number): Rule => ({
  stateNames: ["squares"],
  apply(kernels, update, { scratch, count, previous, next }) {
    const squares = next("squares");
    kernels.weightedSumOfSquares(squares, previous("squares"), update, keep, add, count);
    kernels.divideByRoot(scratch, update, squares, 1, 1, aboveZero(epsilon), count);
    return scratch;
  },
});

/** ε as float32 and not 0, which would make 0 / 0 of the padding. */
const aboveZero = (epsilon: number): number => Math.max(Math.fround(epsilon), 2 ** -149);
