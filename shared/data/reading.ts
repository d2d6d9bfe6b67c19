/** How data is read: what is held out of the training part, and how much each process holds in memory. */
import { permutation } from "../random.ts";

export interface Reading {
  /** The share of the training samples that is held out to evaluate on; 0 for none. */
  readonly validation: number;
  /** Decides which ones. */
  readonly seed: number;
  /** Features of a part that take more bytes are read from a file as they are needed. */
  readonly memory: number;
}

/** As a run's config, or its plan, says; `dataMemory` is in MiB. */
export const readingOf = (run: {
  readonly validation: number;
  readonly seed: number;
  readonly dataMemory: number;
}): Reading => ({ validation: run.validation, seed: run.seed, memory: run.dataMemory * 2 ** 20 });

export const wholeReading: Reading = { validation: 0, seed: 0, memory: 2 ** 30 };

/** Which of `samples` samples are trained on and which held out, both ascending. */
export function split(
  samples: number,
  { validation, seed }: Reading,
): { readonly train: Uint32Array; readonly held: Uint32Array } {
  const held = validation === 0 ? 0 : Math.min(samples - 1, Math.max(1, Math.round(validation * samples)));
  const at = permutation(seed, 0, samples, "split");
  const isHeld = new Uint8Array(samples);
  for (let index = 0; index < held; index++) isHeld[at(index)] = 1;
  const places = Uint32Array.from({ length: samples }, (_, sample) => sample);
  return {
    train: places.filter((sample) => isHeld[sample] === 0),
    held: places.filter((sample) => isHeld[sample] === 1),
  };
}
