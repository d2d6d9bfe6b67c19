/**
 * What a sample's target is: one of `classes` labels 0..classes-1 (int32), or one at each of `positions` of a sequence, such as
 * the next token at every place of a text; or `width` real values (float32).
 */
export type TargetSpec =
  | { readonly kind: "class"; readonly classes: number; readonly positions?: number }
  | { readonly kind: "values"; readonly width: number };

/** Numbers in one sample's target. */
export const targetWidth = (target: TargetSpec): number =>
  target.kind === "class" ? (target.positions ?? 1) : target.width;

/** Room for the targets of so many samples. */
export const emptyTargets = (
  target: TargetSpec,
  samples: number,
): Int32Array<ArrayBuffer> | Float32Array<ArrayBuffer> =>
  new (target.kind === "class" ? Int32Array : Float32Array)(samples * targetWidth(target));
