/** What a sample's target is: one of `classes` labels 0..classes-1 (int32), or `width` real values (float32). */
export type TargetSpec =
  | { readonly kind: "class"; readonly classes: number }
  | { readonly kind: "values"; readonly width: number };
