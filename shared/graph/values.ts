/**
 * Tensor types. A shape is a list of dimensions of which the leading one may be symbolic: { rows: k } means k entries for
 * every sample of the batch. Everything else is known when the graph is built, so shapes are checked once, before any run.
 */
import { LockstepError } from "../errors.ts";
import { product } from "../shape.ts";

export type DataType = "float32" | "int32";
/** A number of entries, or `rows` entries for every sample (leading dimension only). */
export type Dim = number | { readonly rows: number };
export type Shape = readonly Dim[];

export interface TensorType {
  readonly shape: Shape;
  readonly dtype: DataType;
}

/** Entries of the leading dimension for every sample; undefined where the tensor has no sample dimension. */
export function rowsOf(shape: Shape): number | undefined {
  const leading = shape[0];
  return typeof leading === "object" ? leading.rows : undefined;
}

export const sameDim = (left: Dim, right: Dim): boolean =>
  typeof left === "object" && typeof right === "object" ? left.rows === right.rows : left === right;

export const sameShape = (left: Shape, right: Shape): boolean =>
  left.length === right.length && left.every((dim, axis) => sameDim(dim, right[axis] as Dim));

/** The shape for a batch of `samples`. */
export const bindShape = (shape: Shape, samples: number): number[] =>
  shape.map((dim) => (typeof dim === "object" ? dim.rows * samples : dim));

/** A shape as people read it: [samples, 10] or [samples×4, 10]. */
export function describeShape(shape: Shape): string {
  const words = shape.map((dim) => {
    if (typeof dim === "number") return String(dim);
    return dim.rows === 1 ? "samples" : `samples×${dim.rows}`;
  });
  return `[${words.join(", ")}]`;
}

/** The most entries one tensor may have for every sample; beyond it sizes are a mistake or an attack. */
const entriesLimit = 2 ** 31;

/** Throws GRAPH_INVALID unless dimensions are positive integers, of bounded product, symbolic at the front only. */
export function checkShape(shape: Shape, where: string): void {
  const sizes = shape.map((dim, axis) => {
    if (typeof dim === "number") return dim;
    if (axis === 0) return dim.rows;
    throw new LockstepError(
      "GRAPH_INVALID",
      `${where}: ${describeShape(shape)} has its samples at axis ${axis}, not 0`,
    );
  });
  if (!sizes.every((size) => Number.isInteger(size) && size > 0) || product(sizes) > entriesLimit) {
    throw new LockstepError(
      "GRAPH_INVALID",
      `${where}: ${describeShape(shape)} is not a shape of positive, bounded sizes`,
    );
  }
}

/** The error of a shape rule: the operation, what it wants and what it was given. */
export function shapeMismatch(operation: string, wanted: string, inputs: readonly TensorType[]): LockstepError {
  const given = inputs.map(({ shape, dtype }) => `${dtype} ${describeShape(shape)}`).join(" and ");
  return new LockstepError("SHAPE_MISMATCH", `${operation} wants ${wanted}, but was given ${given || "nothing"}`);
}

/** The error of an operation of a layer in which one sample would depend on others. */
export const samplesMixed = (operation: string, inputs: readonly TensorType[]): LockstepError =>
  new LockstepError(
    "SHAPE_MISMATCH",
    `${operation} would mix the samples of ${inputs.map(({ shape }) => describeShape(shape)).join(" and ")}`,
    "What is computed of a sample must not depend on which others are in its minibatch or shard: leave axis 0 as it is. Losses and gradients are summed over the samples by the step.",
  );
