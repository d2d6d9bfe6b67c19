/**
 * A program is a graph made ready to run: every tensor has a place, steps come in order, and a batch may be split into
 * shards and joined again. Sizes are numbers in a program for an engine; in one for an ONNX file that others open, the
 * sample dimension stays symbolic.
 */
import type { Attributes } from "./operation.ts";
import type { DataType, Shape } from "./values.ts";

export interface ProgramTensor<Sizes extends Shape> {
  readonly shape: Sizes;
  readonly dtype: DataType;
}

/** A tensor with a name: what is fed and what comes out. `tensor` is its place in the program. */
export interface Port<Sizes extends Shape> extends ProgramTensor<Sizes> {
  readonly name: string;
  readonly tensor: number;
}

/** What comes out: of rows all, of a sum what one shard adds to it. */
export interface Term<Sizes extends Shape> extends Port<Sizes> {
  /** The name of the graph's output. */
  readonly output: string;
  /** The shard whose term it is, counted from the first one of the program. */
  readonly shard: number;
}

export type Step =
  | {
      readonly kind: "operation";
      readonly operation: string;
      readonly attributes: Attributes;
      readonly inputs: readonly number[];
      readonly output: number;
    }
  /** Cuts the leading dimension into consecutive parts of these sizes. */
  | {
      readonly kind: "split";
      readonly input: number;
      readonly sizes: readonly number[];
      readonly outputs: readonly number[];
    }
  /** Joins parts along the leading dimension. */
  | { readonly kind: "concat"; readonly inputs: readonly number[]; readonly output: number };

export interface Program<Sizes extends Shape = readonly number[]> {
  readonly inputs: readonly Port<Sizes>[];
  readonly outputs: readonly Term<Sizes>[];
  readonly tensors: readonly ProgramTensor<Sizes>[];
  readonly steps: readonly Step[];
}
