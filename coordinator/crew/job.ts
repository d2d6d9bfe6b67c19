/**
 * Work on long vectors that is done block by block, each block on its own: partial sums are added, and where the optimizer
 * allows it the step is taken at once, while the block's sum is still in the processor's cache. Which thread does which block
 * changes no bit.
 */
import type { Kernels } from "../../shared/kernels/index.ts";
import type { Optimizer } from "../../shared/optim/optimizer.ts";
import type { OptimizerStep } from "../../shared/optim/update.ts";

/** into = left + right, vectors at byte offsets; `into` may be one of the two. */
export interface Addition {
  readonly into: number;
  readonly left: number;
  readonly right: number;
}

export interface Job {
  /** In the order in which they are to be done. */
  readonly additions: readonly Addition[];
  /** Floats of the vectors. */
  readonly count: number;
  /**
   * Has the step taken with what is at `step.gradient`. That may be what the last addition is to make, which is then not kept.
   * Neither is the gradient overwritten.
   */
  readonly step: OptimizerStep | undefined;
}

/** Floats of a block: those of the parameters, their successors and the sums fit into the cache of a core together. */
export const BLOCK_FLOATS = 16_384;

export const blocksOf = ({ count }: Pick<Job, "count">): number => Math.ceil(count / BLOCK_FLOATS);

/**
 * Does one block. Whether gradient and parameters are finite, if a step is taken.
 * @param scratch byte offset of room for a block of this thread's own
 */
export function doBlock(kernels: Kernels, optimizer: Optimizer, job: Job, block: number, scratch: number): boolean {
  const { additions, step } = job;
  const start = block * BLOCK_FLOATS;
  const at = 4 * start;
  const count = Math.min(BLOCK_FLOATS, job.count - start);
  let gradient = step && step.gradient + at;
  additions.forEach(({ into, left, right }, index) => {
    const isLast = index === additions.length - 1;
    const keeps = step === undefined || !isLast || into !== step.gradient;
    if (!keeps) gradient = scratch;
    kernels.add(keeps ? into + at : scratch, left + at, right + at, count);
  });
  return step === undefined || optimizer.updatePart(kernels, step, { start, count, gradient: gradient!, scratch });
}
