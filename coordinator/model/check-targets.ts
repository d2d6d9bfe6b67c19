/**
 * Binary cross-entropy is that of probabilities: for a target outside 0 to 1 it has no least value, and a network that learns it runs
 * off to ever larger scores.
 */
import type { Dataset } from "../../shared/data/dataset.ts";
import type { Parts } from "../../shared/data/parts.ts";
import { targetWidth } from "../../shared/data/target.ts";
import { LockstepError } from "../../shared/errors.ts";
import type { LossSpec } from "../../shared/nn/spec.ts";

/** Throws DATA_INVALID for a sample with a target that the loss is not made for. */
export function checkTargets({ kind }: LossSpec, { train, test }: Parts): void {
  if (kind !== "binaryCrossEntropy") return;
  checkPart(train, "training");
  if (test !== undefined) checkPart(test, "test");
}

function checkPart(data: Dataset, part: string): void {
  const { targets } = data.transfer();
  const wrong = targets.findIndex((value: number) => value < 0 || value > 1);
  if (wrong < 0) return;
  const sample = Math.floor(wrong / targetWidth(data.target));
  throw new LockstepError(
    "DATA_INVALID",
    `the target of ${part} sample ${sample} is ${targets[wrong]}, and binaryCrossEntropy takes values from 0 to 1`,
    "Bring the targets to 0 to 1, or train with meanSquaredError.",
  );
}
