/** The model that a config describes for the data it is given: where the two don't fit, the message names both. */
import { LockstepError } from "../shared/errors.ts";
import type { Dataset } from "../shared/data/dataset.ts";
import { compileModel } from "../shared/nn/model.ts";
import type { CompiledModel } from "../shared/nn/model.ts";
import type { RunConfig } from "./config.ts";

/** Compiles the config's model. Throws SHAPE_MISMATCH or CONFIG_INVALID. */
export function modelFor(config: RunConfig, data: Dataset): CompiledModel {
  const { layers, loss, inputWidth } = config.model;
  const width = data.sampleShape.reduce((product, length) => product * length, 1);
  if (inputWidth !== undefined && inputWidth !== width) {
    throw new LockstepError(
      "SHAPE_MISMATCH",
      `the config expects ${inputWidth} values a sample, the data has ${width} (shape [${data.sampleShape.join(", ")}])`,
      `start --layers with ${width}, or train on other data`,
    );
  }
  return compileModel({ inputShape: data.sampleShape, target: data.target, layers, loss });
}
