/** A run's trained network as it lies on disk, loaded for evaluation and prediction. Nothing in the folder is changed. */
import { join } from "node:path";
import { decodeSafetensors, type Tensor } from "../../shared/checkpoint/safetensors.ts";
import type { Dataset } from "../../shared/data/dataset.ts";
import { openData, type OpenedData } from "../../shared/data/open.ts";
import { readingOf } from "../../shared/data/reading.ts";
import { LockstepError } from "../../shared/errors.ts";
import { layoutOf, slotView, type Layout } from "../../shared/memory/layout.ts";
import type { CompiledModel } from "../../shared/nn/model.ts";
import { averageIn } from "../../shared/optim/optimizer.ts";
import type { RunConfig } from "../config/config.ts";
import { configOfRun } from "../config/resume.ts";
import { modelFor } from "../model/model.ts";
import { Checkpoints } from "../run-folder/checkpoints.ts";
import { readIfThere } from "../run-folder/disk.ts";
import type { FoundRun } from "../run-folder/find.ts";
import { readRun } from "../run-folder/folder.ts";

export interface TrainedRun {
  readonly config: RunConfig;
  /** What lies where the run's data lay; `testDataOf` checks that it is the same. Whoever has loaded it closes it. */
  readonly data: OpenedData;
  /** Names the data the run trained on. */
  readonly dataSha256: string;
  readonly model: CompiledModel;
  readonly layout: Layout;
  /** In layout order, with padding. */
  readonly parameters: Float32Array;
  /** What the parameters were read from: the model file or a checkpoint's step. */
  readonly source: string;
}

/**
 * Reads model.safetensors or, where the run is not completed or has gone on since, its newest whole checkpoint. The model file of
 * a run that goes on stays until it is replaced, as somebody may be using it.
 * @param onDamaged hears of every damaged checkpoint that was passed over
 */
export async function loadTrained(run: FoundRun, onDamaged: (error: LockstepError) => void): Promise<TrainedRun> {
  const config = await configOfRun(run);
  const { dataSha256 } = (await readRun(run.path)).manifest;
  const data = await openData(config.data, readingOf(config));
  try {
    const model = await modelFor(config, data.train);
    const layout = layoutOf(model.parameters);
    return { config, data, dataSha256, model, layout, ...(await parametersOf(run, layout, onDamaged)) };
  } catch (error) {
    data.close();
    throw error;
  }
}

async function parametersOf(
  run: FoundRun,
  layout: Layout,
  onDamaged: (error: LockstepError) => void,
): Promise<Pick<TrainedRun, "parameters" | "source">> {
  const file = join(run.path, "model.safetensors");
  const bytes = await readIfThere(file);
  const checkpoints = new Checkpoints(run.path, layout);
  if (bytes !== undefined) {
    const { tensors, metadata } = decodeSafetensors(bytes, file);
    const newest = (await checkpoints.list()).at(-1);
    // Which step the model is of is unknown where it is of an older version.
    const hasGoneOn = newest !== undefined && newest.step > Number(metadata["steps"] ?? Infinity);
    if (!hasGoneOn) return { parameters: parametersFrom(tensors, file, layout), source: file };
  }
  const snapshot = await checkpoints.readNewest(onDamaged);
  if (snapshot === undefined)
    throw new LockstepError(
      "CHECKPOINT_MISSING",
      `${run.path} holds neither model.safetensors nor a checkpoint`,
      `Go on with it until there is one: train --resume ${run.name}`,
    );
  const parameters = averageIn(snapshot.state) ?? snapshot.parameters;
  return { parameters, source: `checkpoint of step ${snapshot.step}` };
}

/**
 * The test data of the run itself; where the run was evaluated on held-out training samples and the source has a test part, that part.
 * Throws DATA_MISMATCH where its data has changed since, DATA_MISSING where it had none to test on. */
export function testDataOf({ config, data, dataSha256 }: TrainedRun): Dataset {
  if (data.sha256 !== dataSha256)
    throw new LockstepError(
      "DATA_MISMATCH",
      `the run ${config.name} trained on data with SHA-256 ${dataSha256}, this data has ${data.sha256}`,
      "Put the data back as the run was started with.",
    );
  const test = data.reserved ?? data.test;
  if (test !== undefined) return test;
  throw new LockstepError(
    "DATA_MISSING",
    `the run ${config.name} has no test data`,
    "Give test data, or a share of the training data as validation, when training.",
  );
}

function parametersFrom(tensors: readonly Tensor[], file: string, layout: Layout): Float32Array {
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
