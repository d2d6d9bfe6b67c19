/** Optimizers and schedules in TypeScript: thin builders of the plain-data specs; options left out have PyTorch's defaults. */
import { optionsOf } from "../arguments.ts";
import type { ScheduleSpec } from "./schedule.ts";
import type { AdagradSpec, AdamSpec, LambSpec, RmspropSpec, SgdSpec } from "./spec.ts";

export const sgd = (options: Omit<SgdSpec, "kind">): SgdSpec => ({ kind: "sgd", ...optionsOf("sgd", options) });
/** Weight decay is added to the gradient (L2). */
export const adam = (options: Omit<AdamSpec, "kind">): AdamSpec => ({ kind: "adam", ...optionsOf("adam", options) });
/** Weight decay acts on the parameters directly. */
export const adamw = (options: Omit<AdamSpec, "kind">): AdamSpec => ({ kind: "adamw", ...optionsOf("adamw", options) });
export const rmsprop = (options: Omit<RmspropSpec, "kind">): RmspropSpec => ({
  kind: "rmsprop",
  ...optionsOf("rmsprop", options),
});
export const adagrad = (options: Omit<AdagradSpec, "kind">): AdagradSpec => ({
  kind: "adagrad",
  ...optionsOf("adagrad", options),
});
/** Adam scaled to the length of each tensor: for large batches. */
export const lamb = (options: Omit<LambSpec, "kind">): LambSpec => ({ kind: "lamb", ...optionsOf("lamb", options) });

type Options<Kind extends ScheduleSpec["kind"]> = Omit<Extract<ScheduleSpec, { kind: Kind }>, "kind">;

/** The learning rate as it is, after a warm-up. */
export const constant = (options: Options<"constant"> = {}): ScheduleSpec => ({
  kind: "constant",
  ...optionsOf("constant", options),
});
/** Multiplied by `factor` (0.1) after every `every` epochs. */
export const stepwise = (options: Options<"step">): ScheduleSpec => ({
  kind: "step",
  ...optionsOf("stepwise", options),
});
/** Multiplied by `factor` an epoch, a little at every step. */
export const exponential = (options: Options<"exponential">): ScheduleSpec => ({
  kind: "exponential",
  ...optionsOf("exponential", options),
});
/** Along half a cosine to the share `final` (0). */
export const cosine = (options: Options<"cosine"> = {}): ScheduleSpec => ({
  kind: "cosine",
  ...optionsOf("cosine", options),
});
/** As (1 − t)^power to the share `final` (0). */
export const polynomial = (options: Options<"polynomial"> = {}): ScheduleSpec => ({
  kind: "polynomial",
  ...optionsOf("polynomial", options),
});
/** Up over the share `rise` (0.3) of the steps and down again, both along half a cosine. */
export const oneCycle = (options: Options<"oneCycle"> = {}): ScheduleSpec => ({
  kind: "oneCycle",
  ...optionsOf("oneCycle", options),
});
/** Multiplied by `factor` (0.1) when the watched figure has not improved for more than `patience` (10) epochs. */
export const reduceOnPlateau = (options: Options<"plateau"> = {}): ScheduleSpec => ({
  kind: "plateau",
  ...optionsOf("reduceOnPlateau", options),
});
