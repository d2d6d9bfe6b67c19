/**
 * One step of an optimizer on a stretch of the flat vector. A step reads one block of vectors (parameters and state) and
 * writes the next block beside it; the block it reads stays as it was.
 */
import type { Kernels, StepBySum } from "../kernels/index.ts";
import { globalNorm } from "./norm.ts";
import { inOnePass } from "./rules.ts";
import type { Rule, Stretch, Summands } from "./rules.ts";
import type { Segment } from "./segments.ts";

/** One step; `from`, `to` and `gradient` are byte offsets. */
export interface OptimizerStep {
  /** A block: the parameters and behind them each state vector, `count` floats each. Not written. */
  readonly from: number;
  /** A second block of that form, gets the next parameters and states. */
  readonly to: number;
  /** The gradient summed over `samples` samples; may be overwritten. */
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

/** A piece of a segment on its way through a step. All but `length` are byte offsets. */
interface Chunk {
  /** In each vector of a block. */
  readonly at: number;
  /** Floats. */
  readonly length: number;
  /** Of its summed gradient; not written unless it is `scratch` too. */
  readonly gradient: number;
  /** Room for `length` floats. */
  readonly scratch: number;
}

/** Consecutive pieces of a segment; the gradient may be overwritten. */
function* chunksOf({ gradient }: OptimizerStep, { start, count }: Segment): Generator<Chunk> {
  for (let done = 0; done < count; done += chunkFloats) {
    const at = 4 * (start + done);
    yield { at, length: Math.min(chunkFloats, count - done), gradient: gradient + at, scratch: gradient + at };
  }
}

/** Takes the step: parameters, the rules' states, the average. Whether the gradient and the next parameters are finite. */
export function descend(kernels: Kernels, step: OptimizerStep, segment: Segment, how: Descent): boolean {
  let isFinite = true;
  for (const chunk of chunksOf(step, segment)) isFinite = descendChunk(kernels, step, segment, how, chunk) && isFinite;
  if (!how.scaledByTensor) return isFinite;
  // The rules leave such an update in place of the gradient.
  const { from, to, gradient, learningRate } = step;
  const [at, length] = [4 * segment.start, segment.count];
  const ratio = trustRatio(kernels, from + at, gradient + at, length);
  const rate = learningRate * segment.learningRateFactor * ratio;
  isFinite = kernels.weightedSum(to + at, from + at, gradient + at, 1, -rate, length) && isFinite;
  if (how.averageDecay !== undefined)
    for (const chunk of chunksOf(step, segment)) moveAverage(kernels, step, how, chunk);
  return isFinite;
}

/** The same for a piece of a segment; where the update is scaled by tensor, without the step itself. */
export function descendChunk(
  kernels: Kernels,
  step: OptimizerStep,
  segment: Segment,
  how: Descent,
  chunk: Chunk,
): boolean {
  const stretch = stretchOf(step, how, chunk);
  const rate = step.learningRate * segment.learningRateFactor;
  const whole = how.scaledByTensor ? undefined : inOnePass(how.rules);
  const isFinite =
    whole === undefined
      ? takeByRules(kernels, chunk.gradient, rate, how, stretch)
      : whole.take(kernels, chunk.gradient, how.divisor, rate, stretch);
  if (how.averageDecay !== undefined && !how.scaledByTensor) moveAverage(kernels, step, how, chunk);
  return isFinite;
}

/** The same of a gradient that is still to be added up, if that can be done in the same pass; undefined: nothing was done. */
export function descendChunkBySum(
  kernels: Kernels,
  step: OptimizerStep,
  segment: Segment,
  how: Descent,
  chunk: Omit<Chunk, "gradient">,
  summands: Summands,
): StepBySum | undefined {
  const whole = how.scaledByTensor || how.averageDecay !== undefined ? undefined : inOnePass(how.rules);
  const rate = step.learningRate * segment.learningRateFactor;
  return whole?.takeBySum(kernels, summands, how.divisor, rate, stretchOf(step, how, chunk));
}

/** What the rules see of a chunk. */
function stretchOf(
  { from, to, count, stepNumber }: OptimizerStep,
  { stateNames }: Descent,
  { at, length, scratch }: Omit<Chunk, "gradient">,
): Stretch {
  const placeOf = (state: string): number => 4 * count * (1 + stateNames.indexOf(state)) + at;
  return {
    count: length,
    stepNumber,
    parameters: from + at,
    nextParameters: to + at,
    scratch,
    previous: (state) => from + placeOf(state),
    next: (state) => to + placeOf(state),
  };
}

/** Division, rules and the step one after the other. */
function takeByRules(
  kernels: Kernels,
  gradient: number,
  rate: number,
  { divisor, rules, scaledByTensor }: Descent,
  given: Stretch,
): boolean {
  const { count, parameters, nextParameters, scratch } = given;
  // As is the gradient, since the divisor is at least 1.
  const isMeanFinite = kernels.divide(scratch, gradient, divisor, count);
  const update = rules.reduce((place, rule) => rule.apply(kernels, place, given), scratch);
  if (scaledByTensor) return isMeanFinite;
  return kernels.weightedSum(nextParameters, parameters, update, 1, -rate, count) && isMeanFinite;
}

/** a' = a + (1 − decay)(θ' − a), from a = θ' after the first step on: two rounded weights would not add up to 1. */
function moveAverage(
  kernels: Kernels,
  { from, to, count, stepNumber }: OptimizerStep,
  { stateNames, averageDecay = 1 }: Descent,
  { at, length, scratch }: Chunk,
): void {
  const place = 4 * count * stateNames.length + at;
  const [before, after, parameters] = [from + place, to + place, to + at];
  const base = stepNumber === 1 ? parameters : before;
  kernels.weightedSum(scratch, parameters, base, 1, -1, length);
  kernels.weightedSum(after, base, scratch, 1, 1 - averageDecay, length);
}

/** ‖θ‖ / ‖u‖, or 1 where one of them is zero. */
function trustRatio(kernels: Kernels, parameters: number, update: number, count: number): number {
  const [length, wanted] = [globalNorm(kernels, parameters, count), globalNorm(kernels, update, count)];
  return length > 0 && wanted > 0 ? length / wanted : 1;
}

/** Parameters as they were, which are their own average; the rules' states stay zero. A frozen stretch has no gradient. */
export function copySegment(
  kernels: Kernels,
  { from, to, count }: OptimizerStep,
  segment: Segment,
  { stateNames, averageDecay }: Pick<Descent, "stateNames" | "averageDecay">,
): void {
  const copyTo = (vector: number): void => {
    const [source, target] = [from + 4 * segment.start, to + 4 * (vector * count + segment.start)];
    kernels.weightedSum(target, source, source, 1, 0, segment.count);
  };
  copyTo(0);
  if (averageDecay !== undefined) copyTo(stateNames.length);
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
