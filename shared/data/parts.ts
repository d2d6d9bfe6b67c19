/** What a format's reader gives: the parts of a data source, and how what a trained model is asked about becomes a sample. */
import type { Dataset } from "./dataset.ts";

/** The parts of a data source, as its reader has them. */
export interface Parts {
  readonly train: Dataset;
  readonly test?: Dataset;
  /** What the classes are called, where they have names: as many as there are classes. */
  readonly classNames?: readonly string[];
  readonly encoders?: Encoders;
}

/**
 * How what a trained model is asked about becomes a sample, as the training data did; where there is none for it, sample.ts says
 * what is done. `place` is what errors call it.
 */
export interface Encoders {
  /** Of a row: cells without the target's. */
  readonly row?: (cells: readonly string[], place: string) => Float32Array;
  /** Of a PNG. */
  readonly image?: (bytes: Uint8Array, place: string) => Float32Array;
  /** Of a plain text. */
  readonly text?: (bytes: Uint8Array, place: string) => Float32Array;
}
