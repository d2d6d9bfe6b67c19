/**
 * Work on long vectors that is done block by block, each block on its own: partial sums are checked and added, and where the
 * optimizer allows it the step is taken at once, while the block's sum is still in the processor's cache. Which thread does
 * which block changes no bit.
 */
import type { Kernels } from "../../shared/kernels/index.ts";
import { BLOCK_FLOATS, blocksIn, checksumTerm, lengthOf, LINE_FLOATS, termOf } from "../../shared/memory/blocks.ts";
import type { Optimizer } from "../../shared/optim/optimizer.ts";
import type { OptimizerStep } from "../../shared/optim/update.ts";

/** into = left + right, vectors at byte offsets; `into` may be one of the two. */
export interface Addition {
  readonly into: number;
  readonly left: number;
  readonly right: number;
}

/** What the vector at a byte offset must have as its `blockwiseChecksum`. */
export interface Check {
  readonly place: number;
  readonly checksum: number;
}

/** What is looked at on the way; each block before it is overwritten. */
export interface Checks {
  readonly vectors: readonly Check[];
  /** Floats of each of them: as many as are added, or more. */
  readonly length: number;
}

export interface Job {
  /** In the order in which they are to be done. */
  readonly additions: readonly Addition[];
  /** The float of the vectors with which the first block begins; 0 unless nothing is checked. */
  readonly first?: number | undefined;
  /** Floats of the vectors, with those in front of the first. */
  readonly count: number;
  /**
   * Has the step taken with what is at `step.gradient`. That may be what the last addition is to make, which is then not kept.
   * Neither is the gradient overwritten.
   */
  readonly step?: OptimizerStep | undefined;
  readonly checks?: Checks | undefined;
}

/** What became of a job. */
export interface Outcome {
  /** Whether the gradient and the next parameters are finite, if it had a step. */
  readonly isFinite: boolean;
  /** Where vectors are that have another checksum. */
  readonly damaged: readonly number[];
}

/**
 * Floats of vectors that mostly come from memory, where adding, checking and stepping in one pass took 0.8 of the time on 1.86M floats. What
 * is in other processors' caches comes slower in such a pass, which asks for fewer lines at once: 1.8 times as long on 50,000.
 */
const FROM_MEMORY = 262_144;

export const blocksOf = ({ first = 0, count, checks }: Pick<Job, "first" | "count" | "checks">): number =>
  blocksIn(Math.max(count, checks?.length ?? 0) - first);

/** What became of one of its blocks. */
export interface BlockOutcome {
  /** Whether the gradient and the next parameters are finite, if a step is taken. */
  readonly isFinite: boolean;
  /** What the block adds to the checksum of each vector that is checked. */
  readonly terms: readonly number[];
}

/** What became of a job, once it is known what the blocks' terms add up to for each vector that is checked. */
export const outcomeOf = ({ checks }: Pick<Job, "checks">, sums: readonly number[], isFinite: boolean): Outcome => ({
  isFinite,
  damaged: (checks?.vectors ?? []).flatMap(({ place, checksum }, index) =>
    sums[index]! >>> 0 === checksum ? [] : [place],
  ),
});

/** Does a job on this thread alone. @param scratch as for `doBlock` */
export function doAlone(kernels: Kernels, optimizer: Optimizer, job: Job, scratch: number): Outcome {
  const sums = job.checks?.vectors.map(() => 0) ?? [];
  let isFinite = true;
  for (let block = 0; block < blocksOf(job); block++) {
    const done = doBlock(kernels, optimizer, job, block, scratch);
    done.terms.forEach((term, index) => (sums[index]! += term));
    isFinite &&= done.isFinite;
  }
  return outcomeOf(job, sums, isFinite);
}

/**
 * Does one block.
 * @param scratch byte offset of room for a block of this thread's own
 */
export function doBlock(
  kernels: Kernels,
  optimizer: Optimizer,
  job: Job,
  block: number,
  scratch: number,
): BlockOutcome {
  const { additions, first = 0, step, checks = { vectors: [], length: 0 } } = job;
  const start = first + block * BLOCK_FLOATS;
  const at = 4 * start;
  const count = lengthOf(block, job.count - first);
  const paired = count === lengthOf(block, checks.length) ? pairsIn(additions, checks) : [];
  // Each before it is overwritten.
  const terms = new Map(
    checks.vectors
      .filter(({ place }) => !paired.some(({ left, right }) => place === left || place === right))
      .map(({ place }) => [place, checksumTerm(kernels, place, checks.length, block)]),
  );
  const note = ({ left, right }: Addition, [ofLeft, ofRight]: readonly [number, number]): void =>
    void terms.set(left, termOf(ofLeft, block)).set(right, termOf(ofRight, block));
  const add = (addition: Addition, out: number): void => {
    const operands = [out, addition.left + at, addition.right + at, count] as const;
    if (paired.includes(addition)) note(addition, kernels.addChecked(...operands));
    else kernels.add(...operands);
  };
  const done = (isFinite: boolean): BlockOutcome => ({
    isFinite,
    terms: checks.vectors.map(({ place }) => terms.get(place)!),
  });
  const last = additions.at(-1);
  const unkept = step !== undefined && last?.into === step.gradient ? last : undefined;
  for (const addition of additions) if (addition !== unkept) add(addition, addition.into + at);
  if (step === undefined) return done(true);
  const part = { start, count, scratch };
  if (unkept === undefined) return done(optimizer.updatePart(kernels, step, { ...part, gradient: step.gradient + at }));
  if (job.count >= FROM_MEMORY && count > 0 && count % LINE_FLOATS === 0) {
    const summands = { left: unkept.left + at, right: unkept.right + at };
    const taken = optimizer.updatePartBySum(kernels, step, part, summands);
    if (taken !== undefined && paired.includes(unkept)) note(unkept, taken.checksums);
    if (taken !== undefined) return done(taken.isFinite);
  }
  add(unkept, scratch);
  return done(optimizer.updatePart(kernels, step, { ...part, gradient: scratch }));
}

/** The additions that can check what they add: two vectors that both are to be checked, and that none before has written. */
function pairsIn(additions: readonly Addition[], { vectors }: Checks): Addition[] {
  const written = new Set<number>();
  const isAsItWas = (place: number): boolean => !written.has(place) && vectors.some((each) => each.place === place);
  return additions.filter(({ into, left, right }) => {
    const isPair = isAsItWas(left) && isAsItWas(right);
    written.add(into);
    return isPair;
  });
}
