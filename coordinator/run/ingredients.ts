/** What a run is made of: data that is read and a model compiled for it. What is wrong with the two is found here, before there is a run. */
import type { OpenedData } from "../../shared/data/open.ts";
import { openData } from "../../shared/data/open.ts";
import { readingOf } from "../../shared/data/reading.ts";
import { partialLayouts } from "../../shared/gradient/partial.ts";
import type { PartialLayouts } from "../../shared/gradient/partial.ts";
import type { CompiledModel } from "../../shared/nn/model.ts";
import type { RunConfig } from "../config/config.ts";
import type { RunEvent } from "../events.ts";
import { checkLookups } from "../model/check-lookups.ts";
import { checkTargets } from "../model/check-targets.ts";
import { startOf } from "../model/initial-weights.ts";
import type { Start } from "../model/initial-weights.ts";
import { modelFor, withLayers } from "../model/model.ts";

export interface Ingredients {
  readonly config: RunConfig;
  readonly data: OpenedData;
  readonly model: CompiledModel;
  readonly layouts: PartialLayouts;
  /** What it starts from; a run that goes on reads that only if it has no checkpoint yet. */
  readonly start?: Start;
}

/**
 * Reads the data, which is closed with `cleanUp`, and the files that the model names, and compiles it.
 * @param resume whether a run goes on, which has its parameters in its checkpoints
 * @throws LockstepError for what is wrong with any of them
 */
export async function ingredientsOf(
  asked: RunConfig,
  resume: boolean,
  notify: (event: RunEvent) => void,
  cleanUp: AsyncDisposableStack,
): Promise<Ingredients> {
  const data = cleanUp.adopt(await openData(asked.data, readingOf(asked)), (opened) => opened.close());
  notify({ type: "data", train: data.train.length, test: data.test?.length, sha256: data.sha256 });
  const config = withLayers(asked, data.train);
  const model = await modelFor(config, data.train);
  checkLookups(model.train, data.source);
  checkTargets(config.model.loss, data.source);
  const layouts = partialLayouts(model.parameters, model.metrics, model.evaluated);
  if (resume) return { config, data, model, layouts };
  const start = await startOf(config, model);
  if (start.report !== undefined) notify({ type: "weights", file: config.model.weights!.file, ...start.report });
  return { config, data, model, layouts, start };
}
