/** Where training begins: at the newest checkpoint or, where there is none, at the parameters that seed and files give. */
import { stepNumber } from "../../shared/ids.ts";
import type { StepNumber } from "../../shared/ids.ts";
import { initialParameters } from "../../shared/nn/model.ts";
import { steeringFrom } from "../core/initial-state.ts";
import type { Steering } from "../core/state.ts";
import type { ParameterStore } from "../exchange/parameters.ts";
import { checkSameStart, startOf } from "../model/initial-weights.ts";
import type { Manifest } from "../run-folder/manifest.ts";
import type { Ingredients } from "./ingredients.ts";
import type { Recorder } from "./recorder.ts";

interface Position {
  /** Steps taken so far. */
  readonly steps: StepNumber;
  readonly steering: Steering;
  /** The step of the checkpoint, if there is one. */
  readonly resumedAt: number | undefined;
}

/**
 * Puts the parameters and the optimizer's state in place.
 * @param resume whether there may be checkpoints
 * @throws LockstepError CHECKPOINT_DAMAGED; RUN_MISMATCH where a run without a checkpoint would start from other files than it did
 */
export async function restore(
  { config, model, layouts, start }: Ingredients,
  { startedFrom }: Manifest,
  { store, recorder }: { readonly store: ParameterStore; readonly recorder: Recorder },
  resume: boolean,
): Promise<Position> {
  const snapshot = resume ? await recorder.newest() : undefined;
  if (snapshot === undefined) {
    const { files, values } = start ?? (await startOf(config, model));
    checkSameStart(config.name, files, startedFrom);
    initialParameters(model, layouts.parameters, config.seed, store.vector, values);
  } else store.restore(snapshot);
  store.publish();
  const steering = steeringFrom(snapshot?.steering as Partial<Steering> | undefined);
  return { steps: stepNumber(snapshot?.step ?? 0), steering, resumedAt: snapshot?.step };
}
