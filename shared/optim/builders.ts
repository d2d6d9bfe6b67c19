/** Optimizers in TypeScript: thin builders of the plain-data specs; options left out have PyTorch's defaults. */
import type { AdagradSpec, AdamSpec, RmspropSpec, SgdSpec } from "./spec.ts";

export const sgd = (options: Omit<SgdSpec, "kind">): SgdSpec => ({ kind: "sgd", ...options });
/** Weight decay is added to the gradient (L2). */
export const adam = (options: Omit<AdamSpec, "kind">): AdamSpec => ({ kind: "adam", ...options });
/** Weight decay acts on the parameters directly. */
export const adamw = (options: Omit<AdamSpec, "kind">): AdamSpec => ({ kind: "adamw", ...options });
export const rmsprop = (options: Omit<RmspropSpec, "kind">): RmspropSpec => ({ kind: "rmsprop", ...options });
export const adagrad = (options: Omit<AdagradSpec, "kind">): AdagradSpec => ({ kind: "adagrad", ...options });
