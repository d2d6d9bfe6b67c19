/** Plans of runs that learn a number, from two columns or from images, whose files are written for the test. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openData } from "../../shared/data/open.ts";
import type { DataSpec } from "../../shared/data/spec.ts";
import { encodeGraph } from "../../shared/graph/serialise.ts";
import { layoutOf } from "../../shared/memory/layout.ts";
import { compileModel } from "../../shared/nn/model.ts";
import type { LayerSpec } from "../../shared/nn/spec.ts";
import type { RunPlan } from "../../shared/protocol/messages.ts";
import { bytesOf, npyBytes } from "./data-files.ts";
import { temporaryFolder } from "./files.ts";

interface Wanted extends Pick<RunPlan, "batch" | "shards"> {
  readonly samples: number;
  readonly layers: readonly LayerSpec[];
  readonly augment?: RunPlan["augment"];
  readonly trace?: boolean;
}

/** From two columns. */
export async function regressionPlan(wanted: Wanted): Promise<RunPlan> {
  const train = join(await temporaryFolder(), "train.csv");
  const rows = Array.from(
    { length: wanted.samples },
    (_, row) => `${(row * 7) % 13},${(row * 5) % 11},${(row % 9) / 3}`,
  );
  await writeFile(train, `${rows.join("\n")}\n`);
  return planOn({ kind: "csv", train, target: 2, header: false }, wanted);
}

/** From images of 6 × 6 pixels, which are the test data too. */
export async function imagePlan(wanted: Wanted): Promise<RunPlan> {
  const { samples } = wanted;
  const folder = await temporaryFolder();
  const [features, targets] = [join(folder, "x.npy"), join(folder, "y.npy")];
  const pixels = Float32Array.from({ length: samples * 36 }, (_, index) => Math.sin(index * index));
  await writeFile(features, npyBytes("<f4", [samples, 6, 6], bytesOf(pixels)));
  const values = Float32Array.from({ length: samples }, (_, index) => Math.cos(index));
  await writeFile(targets, npyBytes("<f4", [samples], bytesOf(values)));
  return planOn({ kind: "npy", features, targets, testFeatures: features, testTargets: targets }, wanted);
}

async function planOn(
  data: DataSpec,
  { batch, shards, layers, augment = [], trace = false }: Wanted,
): Promise<RunPlan> {
  const opened = await openData(data);
  const { sampleShape, target } = opened.train;
  const model = compileModel({ inputShape: sampleShape, target, layers, loss: { kind: "meanSquaredError" } });
  const parameters = model.parameters.map(({ name, shape, frozen }) => ({ name, shape, frozen }));
  return {
    seed: 1,
    data,
    validation: 0,
    dataMemory: 1024,
    augment,
    dataSha256: opened.sha256,
    train: encodeGraph(model.train),
    evaluate: encodeGraph(model.evaluate),
    parameters,
    layoutHash: layoutOf(parameters).hash,
    metrics: model.metrics,
    evaluated: model.evaluated,
    batch,
    shards,
    isLong: false,
    trace,
  };
}
