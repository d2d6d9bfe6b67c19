/** Optimizers: public names for compositions of rules. How a step is taken with them is update.ts's business. */
import { unreachable } from "../errors.ts";
import type { Kernels, StepBySum } from "../kernels/index.ts";
import type { Layout } from "../memory/layout.ts";
import { clip, scaleByAdam, scaleByRootOfSquares, trace, weightDecay } from "./rules.ts";
import type { Rule, Summands } from "./rules.ts";
import { type Segment, segmentsOf, wholeVector } from "./segments.ts";
import type { OptimizerSpec, ParameterGroup } from "./spec.ts";
import { copySegment, descend, descendChunk, descendChunkBySum, overlength } from "./update.ts";
import type { OptimizerStep } from "./update.ts";

/** What decides an optimizer besides its spec. */
export interface Surroundings {
  readonly layout: Layout;
  readonly groups?: readonly ParameterGroup[];
  /** Keeps a moving average of the parameters as the state `average`; at each step it keeps this share of itself. */
  readonly averageDecay?: number | undefined;
}

/** The state that is the moving average of the parameters. */
const AVERAGE = "average";

/** The moving average among an optimizer's states, if one is kept. */
export const averageIn = (
  states: readonly { readonly name: string; readonly vector: Float32Array }[],
): Float32Array | undefined => states.find(({ name }) => name === AVERAGE)?.vector;

export interface Optimizer {
  /** The state vectors in the order they have in a block; all zero before the first step. */
  readonly stateNames: readonly string[];
  /**
   * θ' = θ − learningRate · u, where u is what the rules make of the mean gradient. A float that is 0 with gradient 0 stays 0;
   * frozen parameters keep their bits. Whether the gradient of the others and the next parameters are finite: a finite
   * gradient can still overflow them.
   */
  update(kernels: Kernels, step: OptimizerStep): boolean;
  /** Whether each float's step depends on no other float, so that parts of the vector may take theirs in any order, on any thread. */
  readonly isElementwise: boolean;
  /** The step of a part, if it is elementwise; all parts together are the update. */
  updatePart(kernels: Kernels, step: OptimizerStep, part: Part): boolean;
  /**
   * The same where the part's gradient is still to be added up, of whole 64-byte lines, in the same pass over memory. Undefined if
   * there is no kernel for it, or not for all of the part: then nothing was done.
   */
  updatePartBySum(
    kernels: Kernels,
    step: OptimizerStep,
    part: Omit<Part, "gradient">,
    summands: Summands,
  ): StepBySum | undefined;
}

/** Floats `start` to `start + count` of a vector. `scratch` has room for them; `gradient`, the offset of the first one's, may be the same. */
interface Part {
  readonly start: number;
  readonly count: number;
  readonly gradient: number;
  readonly scratch: number;
}

/** The rules of each optimizer, applied in order to the mean gradient. `groupDecay` takes the place of its weight decay. */
function rulesOf(spec: OptimizerSpec, groupDecay?: number): Rule[] {
  const cut = spec.clipValue === undefined ? [] : [clip(spec.clipValue)];
  const decay = (usual = 0): Rule[] => {
    const value = groupDecay ?? spec.weightDecay ?? usual;
    return value > 0 ? [weightDecay(value)] : [];
  };
  const momentum = (value = 0, nesterov = false): Rule[] => (value > 0 ? [trace(value, nesterov)] : []);
  const adam = (beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8): Rule => scaleByAdam(beta1, beta2, epsilon);
  switch (spec.kind) {
    case "sgd":
      return [...cut, ...decay(), ...momentum(spec.momentum, spec.nesterov)];
    case "adam":
      return [...cut, ...decay(), adam(spec.beta1, spec.beta2, spec.epsilon)];
    case "adamw":
      return [...cut, adam(spec.beta1, spec.beta2, spec.epsilon), ...decay(0.01)];
    case "lamb":
      return [...cut, adam(spec.beta1, spec.beta2, spec.epsilon ?? 1e-6), ...decay(0.01)];
    case "rmsprop": {
      const alpha = spec.alpha ?? 0.99;
      const scale = scaleByRootOfSquares(alpha, 1 - alpha, spec.epsilon ?? 1e-8);
      return [...cut, ...decay(), scale, ...momentum(spec.momentum)];
    }
    case "adagrad":
      return [...cut, ...decay(), scaleByRootOfSquares(1, 1, spec.epsilon ?? 1e-10)];
    default:
      return unreachable(spec);
  }
}

/**
 * The optimizer a spec describes; its options' ranges are the config's to check. Without surroundings the whole vector counts
 * as one tensor. Throws CONFIG_INVALID for groups that don't fit the layout.
 */
export function optimizerOf(spec: OptimizerSpec, surroundings?: Surroundings): Optimizer {
  const { layout, groups = [], averageDecay } = surroundings ?? {};
  const scaledByTensor = spec.kind === "lamb";
  const segments = layout && segmentsOf(layout, groups, scaledByTensor);
  const rules = new Map<number | undefined, Rule[]>([[undefined, rulesOf(spec)]]);
  for (const { weightDecay: decay } of segments ?? []) rules.set(decay, rulesOf(spec, decay));
  const ruleStates = rulesOf(spec).flatMap((rule) => rule.stateNames);
  const stateNames = averageDecay === undefined ? ruleStates : [...ruleStates, AVERAGE];

  const segmentsIn = (count: number): readonly Segment[] => segments ?? wholeVector(count);
  const rulesIn = (segment: Segment): Rule[] => rules.get(segment.weightDecay)!;

  return {
    stateNames,
    isElementwise: spec.clipNorm === undefined && !scaledByTensor,
    update(kernels, step) {
      const trained = layout?.trained ?? step.count;
      const divisor = step.samples * overlength(kernels, spec.clipNorm, { ...step, count: trained });
      const how = { stateNames, scaledByTensor, divisor, averageDecay };
      let isFinite = true;
      for (const part of segmentsIn(step.count)) {
        if (part.frozen) copySegment(kernels, step, part, how);
        else isFinite = descend(kernels, step, part, { ...how, rules: rulesIn(part) }) && isFinite;
      }
      return isFinite;
    },
    updatePart(kernels, step, { start, count, gradient, scratch }) {
      const how = { stateNames, scaledByTensor, divisor: step.samples, averageDecay };
      let isFinite = true;
      for (const segment of segmentsIn(step.count)) {
        const first = Math.max(start, segment.start);
        const length = Math.min(start + count, segment.start + segment.count) - first;
        if (length <= 0) continue;
        const shift = 4 * (first - start);
        const chunk = { at: 4 * first, length, gradient: gradient + shift, scratch: scratch + shift };
        if (segment.frozen) copySegment(kernels, step, { ...segment, start: first, count: length }, how);
        else isFinite = descendChunk(kernels, step, segment, { ...how, rules: rulesIn(segment) }, chunk) && isFinite;
      }
      return isFinite;
    },
    updatePartBySum(kernels, step, { start, count, scratch }, summands) {
      const segment = segmentsIn(step.count).find((each) => start < each.start + each.count)!;
      if (segment.frozen || start + count > segment.start + segment.count) return undefined;
      const how = { stateNames, scaledByTensor, divisor: step.samples, averageDecay, rules: rulesIn(segment) };
      return descendChunkBySum(kernels, step, segment, how, { at: 4 * start, length: count, scratch }, summands);
    },
  };
}
