/** The parameters after a few steps of a workload, which must be the same to the last bit with any number of workers. */
import { cluster } from "./cluster.ts";
import type { ClusterRound } from "./cluster.ts";
import { progress } from "./measure.ts";
import { titleOf } from "./workloads.ts";
import type { Workload } from "./workloads.ts";

const WORKERS = [1, 2, 3] as const;
/** And a quarter of a round's, where a step takes long. */
const MOST_STEPS = 20;

export type SameBits = Pick<ClusterRound, "steps" | "parametersSha256"> & { readonly workers: readonly number[] };

/** Rejects when the bits differ: then there is nothing to measure. */
export async function sameBits(workload: Workload): Promise<SameBits> {
  const short = { ...workload, steps: Math.min(MOST_STEPS, Math.ceil(workload.steps / 4)) };
  const found: SameBits[] = [];
  for (const workers of WORKERS) {
    progress(`${titleOf(workload)}: the bits with ${workers} of ${WORKERS.length} workers`);
    const { steps, parametersSha256 } = await cluster(short, workers);
    found.push({ steps, parametersSha256, workers: WORKERS });
  }
  progress("");
  const differs = found.some((each) => JSON.stringify(each) !== JSON.stringify(found[0]));
  if (!differs) return found[0]!;
  const each = found.map(
    ({ steps, parametersSha256 }, index) => `${WORKERS[index]}: ${parametersSha256} after ${steps} steps`,
  );
  throw new Error(`${titleOf(workload)} has other bits with other numbers of workers: ${each.join("; ")}`);
}

export const shownBits = ({ steps, parametersSha256, workers }: SameBits): string =>
  `  parameters after ${steps} steps with ${workers.join(", ")} workers: all sha256 ${parametersSha256.slice(0, 16)}`;
