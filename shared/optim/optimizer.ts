/**
 * Optimizers: public names for compositions of rules, and the loop that takes a step with one. A step reads one block
 * of vectors (parameters and state) and writes the next block beside it; the block it reads stays as it was.
 */
import { unreachable } from "../errors.ts";
import type { Kernels } from "../kernels/index.ts";
import { globalNorm } from "./norm.ts";
import { scaleByAdam, scaleByRootOfSquares, trace, weightDecay, type Rule } from "./rules.ts";
import type { OptimizerSpec } from "./spec.ts";

/** One step; `from`, `to` and `gradient` are byte offsets. */
interface OptimizerStep {
  /** A block: the parameters and behind them each state vector, `count` floats each. Not written. */
  readonly from: number;
  /** A second block of that form, gets the next parameters and states. */
  readonly to: number;
  /** The gradient summed over `samples` samples; overwritten. */
  readonly gradient: number;
  /** Floats in each vector. */
  readonly count: number;
  /** Samples the gradient is the sum of, at least 1. */
  readonly samples: number;
  /** Counts steps from 1. */
  readonly stepNumber: number;
  /** The rate of this step, as the schedule has it. */
  readonly learningRate: number;
}

export interface Optimizer {
  /** The state vectors in the order they have in a block; all zero before the first step. */
  readonly stateNames: readonly string[];
  /**
   * θ' = θ − learningRate · u, where u is what the rules make of the mean gradient. A float that is 0 with gradient 0 stays 0.
   * Whether the gradient and the next parameters are finite: a finite gradient can still overflow them.
   */
  update(kernels: Kernels, step: OptimizerStep): boolean;
}

/** The rules of each optimizer, applied in order to the mean gradient. */
function rulesOf(spec: OptimizerSpec): Rule[] {
  const decay = (value: number): Rule[] => (value > 0 ? [weightDecay(value)] : []);
  const momentum = (value: number, nesterov: boolean): Rule[] => (value > 0 ? [trace(value, nesterov)] : []);
  const adam = (beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8): Rule => scaleByAdam(beta1, beta2, epsilon);
  switch (spec.kind) {
    case "sgd":
      return [...decay(spec.weightDecay ?? 0), ...momentum(spec.momentum ?? 0, spec.nesterov ?? false)];
    case "adam":
      return [...decay(spec.weightDecay ?? 0), adam(spec.beta1, spec.beta2, spec.epsilon)];
    case "adamw":
      return [adam(spec.beta1, spec.beta2, spec.epsilon), ...decay(spec.weightDecay ?? 0.01)];
    case "rmsprop": {
      const alpha = spec.alpha ?? 0.99;
      const scale = scaleByRootOfSquares(alpha, 1 - alpha, spec.epsilon ?? 1e-8);
      return [...decay(spec.weightDecay ?? 0), scale, ...momentum(spec.momentum ?? 0, false)];
    }
    case "adagrad":
      return [...decay(spec.weightDecay ?? 0), scaleByRootOfSquares(1, 1, spec.epsilon ?? 1e-10)];
    default:
      return unreachable(spec);
  }
}

/**
 * Floats that go through all rules before the next ones do: 256 KiB a vector, so that a step on a model larger than the
 * cache reads memory about once. Smaller chunks cost more than they save (Adam on 1.86M floats: 5 ms with 1024 floats,
 * 3 ms with these).
 */
const chunkFloats = 65_536;

/** The optimizer a spec describes; its options' ranges are the config's to check. */
export function optimizerOf(spec: OptimizerSpec): Optimizer {
  const rules = rulesOf(spec);
  const stateNames = rules.flatMap((rule) => rule.stateNames);
  return {
    stateNames,
    update(kernels, { from, to, gradient, count, samples, stepNumber, learningRate }) {
      const divisor = samples * overlength(kernels, spec.clipNorm, gradient, count, samples);
      const vectorBytes = 4 * count;
      let isFinite = true;
      for (let start = 0; start < count; start += chunkFloats) {
        const length = Math.min(chunkFloats, count - start);
        const at = 4 * start;
        const scratch = gradient + at;
        const state = (name: string): number => (1 + stateNames.indexOf(name)) * vectorBytes + at;
        const chunk = {
          count: length,
          stepNumber,
          parameters: from + at,
          scratch,
          previous: (name: string) => from + state(name),
          next: (name: string) => to + state(name),
        };
        isFinite &&= kernels.allFinite(scratch, length);
        kernels.divide(scratch, scratch, divisor, length);
        const update = rules.reduce((place, rule) => rule.apply(kernels, place, chunk), scratch);
        kernels.weightedSum(to + at, from + at, update, 1, -learningRate, length);
        isFinite &&= kernels.allFinite(to + at, length);
      }
      return isFinite;
    },
  };
}

/** How many times longer than `clipNorm` the mean gradient is, at least 1 (PyTorch's clip_grad_norm_, with its 1e-6). */
function overlength(
  kernels: Kernels,
  clipNorm: number | undefined,
  gradient: number,
  count: number,
  samples: number,
): number {
  if (clipNorm === undefined) return 1;
  return Math.max(1, (globalNorm(kernels, gradient, count) / samples + 1e-6) / clipNorm);
}
