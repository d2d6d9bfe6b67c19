/** A run's trained network as it lies on disk, loaded for evaluation and prediction. Nothing in the folder is changed. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { decodeSafetensors } from "../shared/checkpoint/safetensors.ts";
import { openData, type OpenedData } from "../shared/data/open.ts";
import { errnoOf } from "../shared/errno.ts";
import { LockstepError } from "../shared/errors.ts";
import { layoutOf, slotView, type Layout } from "../shared/memory/layout.ts";
import type { CompiledModel } from "../shared/nn/model.ts";
import type { RunConfig } from "./config.ts";
import { configOfRun } from "./config/resume.ts";
import { modelFor } from "./model.ts";
import { Checkpoints } from "./run-folder/checkpoints.ts";
import type { FoundRun } from "./run-folder/find.ts";

export interface TrainedRun {
  readonly config: RunConfig;
  readonly data: OpenedData;
  readonly model: CompiledModel;
  readonly layout: Layout;
  /** In layout order, with padding. */
  readonly parameters: Float32Array;
  /** What the parameters were read from: the model file or a checkpoint's step. */
  readonly source: string;
}

/**
 * Reads model.safetensors or, where the run is not completed, its newest whole checkpoint.
 * @param onDamaged hears of every damaged checkpoint that was passed over
 */
export async function loadTrained(run: FoundRun, onDamaged: (error: LockstepError) => void): Promise<TrainedRun> {
  const config = await configOfRun(run);
  const data = await openData(config.data);
  const model = modelFor(config, data.train);
  const layout = layoutOf(model.parameters);
  const file = join(run.path, "model.safetensors");
  const bytes = await readFile(file).catch((error: unknown) => {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw error;
  });
  if (bytes !== undefined)
    return { config, data, model, layout, parameters: parametersFrom(bytes, file, layout), source: file };
  const snapshot = await new Checkpoints(run.path, layout).readNewest(onDamaged);
  if (snapshot === undefined)
    throw new LockstepError(
      "CHECKPOINT_MISSING",
      `${run.path} holds neither model.safetensors nor a checkpoint`,
      `Train it first: lockstep train --resume ${run.name}`,
    );
  const source = `checkpoint of step ${snapshot.step}`;
  return { config, data, model, layout, parameters: snapshot.parameters, source };
}

function parametersFrom(bytes: Uint8Array, file: string, layout: Layout): Float32Array {
  const { tensors } = decodeSafetensors(bytes, file);
  const vector = new Float32Array(layout.size);
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  const describe = (shape: readonly number[] | undefined): string =>
    shape === undefined ? "none" : `[${shape.join(", ")}]`;
  for (const { name, shape } of layout.slots) {
    const tensor = byName.get(name);
    if (tensor === undefined || describe(tensor.shape) !== describe(shape))
      throw new LockstepError(
        "LAYOUT_MISMATCH",
        `${file}: expected ${name} ${describe(shape)}, as config.json says, found ${describe(tensor?.shape)}`,
        "The file belongs to another model: put the run's own back, or evaluate the run it came from.",
      );
    slotView(layout, name, vector).set(tensor.values);
  }
  return vector;
}
