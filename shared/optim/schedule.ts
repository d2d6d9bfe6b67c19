/**
 * Learning-rate schedules: the rate of a step is a pure function of the step's number and, for `plateau`, of how often the rate
 * was reduced. Formulas are PyTorch's (torch.optim.lr_scheduler), with the rate set anew at every step, not once an epoch.
 */
import { cosineOfHalfTurns, integerPower, power } from "../elementary.ts";
import { unreachable } from "../errors.ts";

/** Options of every schedule. */
interface Common {
  /** Epochs over which the rate first grows from nearly zero in equal steps (0). */
  readonly warmUp?: number;
  /**
   * The optimizer's learning rate is meant for a batch of this size, and grows in proportion to the batch (the linear scaling
   * rule: Goyal et al. 2017); absent: it is taken as it is.
   */
  readonly baseBatch?: number;
}

/** Of those that run out: the epochs they take, after which the rate stays. Absent: those of the run when it began. */
interface Finite extends Common {
  readonly epochs?: number;
}

interface PlateauSpec extends Common {
  readonly kind: "plateau";
  /** The rate is multiplied by it (0.1)… */
  readonly factor?: number;
  /** …after more than this many epochs without an improvement (10). */
  readonly patience?: number;
  /** What counts as an improvement: by this share of the best value so far (0.0001). */
  readonly threshold?: number;
  /** The share of the learning rate below which it does not fall (0). */
  readonly final?: number;
}

export type ScheduleSpec =
  | (Common & { readonly kind: "constant" })
  /** × factor (0.1) after every `every` epochs. */
  | (Common & { readonly kind: "step"; readonly every: number; readonly factor?: number })
  /** × factor an epoch, smoothly. */
  | (Common & { readonly kind: "exponential"; readonly factor: number })
  /** Along half a cosine to the share `final` (0), after the warm-up (Loshchilov, Hutter 2017, without restarts). */
  | (Finite & { readonly kind: "cosine"; readonly final?: number })
  /** As (1 − t)^power (1) to the share `final` (0), after the warm-up. */
  | (Finite & { readonly kind: "polynomial"; readonly power?: number; readonly final?: number })
  /**
   * From the share `start` (1/25) up to the whole rate over the share `rise` (0.3) of the steps, and down to `final` (1/250,000), both
   * along half a cosine (Smith, Topin 2018). Momentum stays as it is.
   */
  | (Finite & { readonly kind: "oneCycle"; readonly rise?: number; readonly start?: number; readonly final?: number })
  /** Reduced when the watched figure no longer improves. */
  | PlateauSpec;

/** A schedule within its run. */
export interface Schedule {
  readonly spec: ScheduleSpec;
  /** The optimizer's. */
  readonly learningRate: number;
  /** Samples of a global batch. */
  readonly batch: number;
  readonly stepsPerEpoch: number;
  /** Of the whole run, for schedules that don't say how long they take. */
  readonly epochs: number;
}

/** The rate of a step, counted from 0; `reductions`: how often a plateau was met. */
export function learningRateAt(schedule: Schedule, step: number, reductions: number): number {
  const { spec, learningRate, batch, stepsPerEpoch } = schedule;
  const scale = spec.baseBatch === undefined ? 1 : batch / spec.baseBatch;
  const warmUpSteps = Math.round((spec.warmUp ?? 0) * stepsPerEpoch);
  const warmth = step < warmUpSteps ? (step + 1) / warmUpSteps : 1;
  return learningRate * scale * warmth * shareAt(schedule, step, warmUpSteps, reductions);
}

/** The share of the whole rate that is left at a step, the warm-up aside. */
function shareAt(
  { spec, stepsPerEpoch, epochs }: Schedule,
  step: number,
  warmUpSteps: number,
  reductions: number,
): number {
  const stepsOf = (limit: number | undefined): number => Math.round((limit ?? epochs) * stepsPerEpoch);
  /** 0 at the end of the warm-up, 1 at the end of the schedule. */
  const progress = (limit: number | undefined): number => {
    const length = stepsOf(limit) - warmUpSteps;
    if (step < warmUpSteps) return 0;
    return length <= 0 ? 1 : Math.min(1, (step - warmUpSteps) / length);
  };
  switch (spec.kind) {
    case "constant":
      return 1;
    case "step":
      return integerPower(spec.factor ?? 0.1, intervalsIn(step, spec.every * stepsPerEpoch));
    case "exponential":
      return power(spec.factor, step / stepsPerEpoch);
    case "cosine":
      return between(1, spec.final ?? 0, progress(spec.epochs));
    case "polynomial": {
      const final = spec.final ?? 0;
      return final + (1 - final) * power(1 - progress(spec.epochs), spec.power ?? 1);
    }
    case "oneCycle": {
      const { rise = 0.3, start = 1 / 25, final = 1 / 250_000 } = spec;
      const last = Math.max(1, stepsOf(spec.epochs) - 1);
      const top = Math.max(0, rise * (last + 1) - 1);
      const at = Math.min(step, last);
      return at < top ? between(start, 1, at / top) : between(1, final, top < last ? (at - top) / (last - top) : 1);
    }
    case "plateau":
      return Math.max(spec.final ?? 0, integerPower(spec.factor ?? 0.1, reductions));
    default:
      return unreachable(spec);
  }
}

/**
 * The intervals that are over at a step. They need not be whole steps: each is over at the first step at or behind its end. The
 * slack makes up for the rounding of `length`, and is less than a step however many steps a run has.
 */
const intervalsIn = (step: number, length: number): number => Math.floor((step * (1 + 1e-12)) / length);

/** From one value to another along half a cosine. */
const between = (from: number, to: number, t: number): number => to + ((from - to) * (1 + cosineOfHalfTurns(t))) / 2;
