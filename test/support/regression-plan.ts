/** The plan of a run that learns a number from two columns, whose file is written for the test. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openData } from "../../shared/data/open.ts";
import { encodeGraph } from "../../shared/graph/serialise.ts";
import { layoutOf } from "../../shared/memory/layout.ts";
import { compileModel } from "../../shared/nn/model.ts";
import type { LayerSpec } from "../../shared/nn/spec.ts";
import type { RunPlan } from "../../shared/protocol/messages.ts";
import { temporaryFolder } from "./files.ts";

interface Wanted extends Pick<RunPlan, "batch" | "shards"> {
  readonly samples: number;
  readonly layers: readonly LayerSpec[];
  readonly trace?: boolean;
}

export async function regressionPlan({ samples, batch, shards, layers, trace = false }: Wanted): Promise<RunPlan> {
  const train = join(await temporaryFolder(), "train.csv");
  const rows = Array.from({ length: samples }, (_, row) => `${(row * 7) % 13},${(row * 5) % 11},${(row % 9) / 3}`);
  await writeFile(train, `${rows.join("\n")}\n`);
  const data = { kind: "csv", train, target: 2, header: false } as const;
  const opened = await openData(data);
  const { sampleShape, target } = opened.train;
  const model = compileModel({ inputShape: sampleShape, target, layers, loss: { kind: "meanSquaredError" } });
  const parameters = model.parameters.map(({ name, shape, frozen }) => ({ name, shape, frozen }));
  return {
    seed: 1,
    data,
    validation: 0,
    dataMemory: 1024,
    augment: [],
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
