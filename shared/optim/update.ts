/**
 * One step of an optimizer on a stretch of the flat vector. A step reads one block of vectors (parameters and state) and
 * writes the next block beside it; the block it reads stays as it was.
 */
import type { Kernels } from "../kernels/index.ts";
import { globalNorm } from "./norm.ts";
import type { Rule } from "./rules.ts";
import type { Segment } from "./segments.ts";

/** One step; `from`, `to` and `gradient` are byte offsets. */
export interface OptimizerStep {
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

/** How a stretch is updated. */
interface Descent {
  readonly rules: readonly Rule[];
  /** In the order they have in a block; the average, if any, is the last. */
  readonly stateNames: readonly string[];
  /** What the summed gradient is divided by: samples, and more where it is clipped. */
  readonly divisor: number;
  /** Whether the update is scaled to the length of the parameters: each stretch is then one tensor. */
  readonly scaledByTensor: boolean;
  readonly averageDecay: number | undefined;
}

/**
 * Floats that go through all rules before the next ones do: 256 KiB a vector, so that a step on a model larger than the
 * cache reads memory about once. Smaller chunks cost more than they save (Adam on 1.86M floats: 5 ms with 1024 floats,
 * 3 ms with these).
 */
const chunkFloats = 65_536;

/** Consecutive pieces of a stretch: byte offsets in a vector, and floats. */
function* chunksOf({ start, count }: Segment): Generator<readonly [at: number, length: number]> {
  for (let done = 0; done < count; done += chunkFloats) yield [4 * (start + done), Math.min(chunkFloats, count - done)];
}

/** Takes the step: parameters, the rules' states, the average. Whether the gradient and the next parameters are finite. */
export function descend(kernels: Kernels, step: OptimizerStep, segment: Segment, how: Descent): boolean {
  const { from, to, gradient, count, stepNumber } = step;
  const { rules, stateNames, divisor, scaledByTensor, averageDecay } = how;
  const placeOf = (state: string): number => 4 * count * (1 + stateNames.indexOf(state));
  const rate = step.learningRate * segment.learningRateFactor;
  let isFinite = true;
  for (const [at, length] of chunksOf(segment)) {
    const scratch = gradient + at;
    const chunk = {
      count: length,
      stepNumber,
      parameters: from + at,
      scratch,
      previous: (state: string) => from + placeOf(state) + at,
      next: (state: string) => to + placeOf(state) + at,
    };
    isFinite &&= kernels.allFinite(scratch, length);
    kernels.divide(scratch, scratch, divisor, length);
    const update = rules.reduce((place, rule) => rule.apply(kernels, place, chunk), scratch);
    if (scaledByTensor) continue;
    kernels.weightedSum(to + at, from + at, update, 1, -rate, length);
    isFinite &&= kernels.allFinite(to + at, length);
  }
  if (scaledByTensor) {
    // The rules leave such an update in place of the gradient.
    const [at, length] = [4 * segment.start, segment.count];
    const scaled = rate * trustRatio(kernels, from + at, gradient + at, length);
    kernels.weightedSum(to + at, from + at, gradient + at, 1, -scaled, length);
    isFinite &&= kernels.allFinite(to + at, length);
  }
  if (averageDecay !== undefined) {
    for (const [at, length] of chunksOf(segment))
      moveAverage(kernels, step, at, 4 * count * stateNames.length, averageDecay, length);
  }
  return isFinite;
}

/** a' = a + (1 − decay)(θ' − a), from a = θ' after the first step on: two rounded weights would not add up to 1. */
function moveAverage(
  kernels: Kernels,
  { from, to, gradient, stepNumber }: OptimizerStep,
  at: number,
  place: number,
  decay: number,
  length: number,
): void {
  const [before, after, parameters, scratch] = [from + place + at, to + place + at, to + at, gradient + at];
  const base = stepNumber === 1 ? parameters : before;
  kernels.weightedSum(scratch, parameters, base, 1, -1, length);
  kernels.weightedSum(after, base, scratch, 1, 1 - decay, length);
}

/** ‖θ‖ / ‖u‖, or 1 where one of them is zero. */
function trustRatio(kernels: Kernels, parameters: number, update: number, count: number): number {
  const [length, wanted] = [globalNorm(kernels, parameters, count), globalNorm(kernels, update, count)];
  return length > 0 && wanted > 0 ? length / wanted : 1;
}

/** Parameters and states as they were. */
export function copySegment(
  kernels: Kernels,
  { from, to, count }: OptimizerStep,
  segment: Segment,
  stateNames: readonly string[],
): void {
  for (let vector = 0; vector <= stateNames.length; vector++) {
    const at = 4 * (vector * count + segment.start);
    kernels.weightedSum(to + at, from + at, from + at, 1, 0, segment.count);
  }
}

/** Forgets the gradient of a stretch. */
export function zeroGradient(kernels: Kernels, { gradient }: OptimizerStep, { start, count }: Segment): void {
  const at = gradient + 4 * start;
  kernels.weightedSum(at, at, at, 0, 0, count);
}

/** How many times longer than `clipNorm` the mean gradient is, at least 1 (PyTorch's clip_grad_norm_, with its 1e-6). */
export function overlength(
  kernels: Kernels,
  clipNorm: number | undefined,
  { gradient, count, samples }: Pick<OptimizerStep, "gradient" | "count" | "samples">,
): number {
  if (clipNorm === undefined) return 1;
  return Math.max(1, (globalNorm(kernels, gradient, count) / samples + 1e-6) / clipNorm);
}
