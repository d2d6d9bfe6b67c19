/** The figure that steers a run, and what is remembered of it from epoch to epoch. */

/** A mean over the epoch's minibatches, or over the test data. */
export const figures = ["testLoss", "testAccuracy", "loss", "accuracy"] as const;
export type Figure = (typeof figures)[number];

/** What is known at the end of an epoch. */
export type EpochFigures = Readonly<Record<Figure, number | undefined>>;

/** The best value of a patient watch, and for how long it has waited for a better one. */
export interface Wait {
  readonly best: number | null;
  readonly waited: number;
}

/** Plain data, so that it can be in a checkpoint. */
export interface Watch {
  readonly plateau: Wait;
  /** How often the learning rate was reduced on a plateau. */
  readonly reductions: number;
  readonly patience: Wait;
  /** The best value so far, and the number of steps taken when it was measured. */
  readonly best: { readonly value: number; readonly step: number } | null;
  /** Training is over although epochs are left. */
  readonly stopped: boolean;
}

const noWait: Wait = { best: null, waited: 0 };
export const freshWatch: Watch = { plateau: noWait, reductions: 0, patience: noWait, best: null, stopped: false };
