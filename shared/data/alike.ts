/**
 * What a network trains on and what it is evaluated on have samples of one shape and targets of one kind: its graphs, and the arrays
 * that samples are read into, are made for the training part and serve for both.
 */
import type { Dataset } from "./dataset.ts";
import { invalidFile } from "./files.ts";
import type { TargetSpec } from "./target.ts";

type Form = Pick<Dataset, "sampleShape" | "target">;

/** Throws DATA_INVALID, naming what differs. `place` is what the error calls the data. */
export function checkAlike(place: string, train: Form, test: Form): void {
  const [wanted, found] = [`[${train.sampleShape.join(", ")}]`, `[${test.sampleShape.join(", ")}]`];
  if (wanted !== found)
    throw invalidFile(
      place,
      `the training samples have the shape ${wanted}, the test samples ${found}`,
      "Both parts need samples of one shape.",
    );
  const [target, other] = [inWords(train.target), inWords(test.target)];
  if (target !== other)
    throw invalidFile(
      place,
      `the training samples have as target ${target}, the test samples ${other}`,
      "Both parts need targets of one kind: as many numbers a sample, and as many classes.",
    );
}

function inWords(target: TargetSpec): string {
  if (target.kind === "values") return target.width === 1 ? "a real value" : `${target.width} real values`;
  const label = `a label from 0 to ${target.classes - 1}`;
  return target.positions === undefined ? label : `${label} at each of ${target.positions} positions`;
}
