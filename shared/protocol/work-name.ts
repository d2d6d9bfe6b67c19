/** Works by their names: which are the same, and which comes first. */
import type { WorkName } from "./messages.ts";

export const isSameWork = (one: WorkName, other: WorkName): boolean =>
  one.kind === other.kind && one.step === other.step;

/** Works follow one another: an evaluation comes before the step that is taken with the same parameters. */
export const rankOf = ({ kind, step }: WorkName): number => 2 * step + (kind === "train" ? 1 : 0);
