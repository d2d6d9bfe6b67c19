/** Runs an experiment from its grid to its files, and says as it goes what it is doing. */
import { mkdtemp, rmdir } from "node:fs/promises";
import { cpus } from "node:os";
import { join } from "node:path";
import { openData } from "../../shared/data/open.ts";
import { makeFolders } from "../../shared/folders.ts";
import { product } from "../../shared/shape.ts";
import { version } from "../../shared/version.ts";
import { duration, plural } from "../cli/format.ts";
import { modelFor, withLayers } from "../model/model.ts";
import { onDisk, writeAtomically } from "../run-folder/disk.ts";
import { pointsOf, titleOf } from "./experiment.ts";
import type { Experiment } from "./experiment.ts";
import { measure } from "./measure.ts";
import type { Measurement } from "./measure.ts";
import { plotsOf } from "./plots.ts";
import {
  csvOf,
  measuredTable,
  milliseconds,
  modelSentences,
  predictionSentence,
  predictionTable,
  seriesTitle,
} from "./report.ts";
import { resultsOf } from "./results.ts";
import type { Measured, Results } from "./results.ts";

/** A first run is not counted: this process compiles its code in it. */
const WARM_UP_STEPS = 200;

/**
 * Measures every point, in rounds, so that a machine that is slower for a while is slower for all. Resolves to the points
 * that have been measured by then when `signal` aborts.
 */
export async function measureAll(
  experiment: Experiment,
  say: (sentence: string) => void,
  signal: AbortSignal,
): Promise<Measured[]> {
  const points = pointsOf(experiment.grid);
  const runs: Measurement[][] = points.map(() => []);
  const total = points.length * experiment.repeat;
  say("warming up");
  await measure(
    { ...experiment, target: undefined, steps: Math.min(experiment.steps, WARM_UP_STEPS) },
    points[0]!,
    signal,
  );
  const startedAt = performance.now();
  for (let done = 0; done < total && !signal.aborted; done++) {
    const index = done % points.length;
    const point = points[index]!;
    const measurement = await measure(experiment, point, signal);
    if (measurement === undefined) break;
    runs[index]!.push(measurement);
    const left = ((total - done - 1) * (performance.now() - startedAt)) / 1000 / (done + 1);
    const when = done + 1 === total ? "" : `, ${duration(left)} left`;
    say(
      `run ${done + 1} of ${total}: ${titleOf(point, experiment.grid)}: ${milliseconds(measurement.millisecondsAStep)} a step${when}`,
    );
  }
  return points.flatMap((point, index) => (runs[index]!.length === 0 ? [] : [{ point, runs: runs[index]! }]));
}

/** The network by its dense layers, as a plot's title names it. Throws what is wrong with data and model before anything is measured. */
export async function jobTitle({ job }: Experiment): Promise<string> {
  const { train, close } = await openData(job.data);
  // Of the data only its form is asked.
  close();
  const { model } = withLayers(job, train);
  await modelFor({ ...job, model }, train);
  const inputs = product(train.sampleShape);
  const widths = model.layers.flatMap((layer) => (layer.kind === "dense" ? [layer.units] : []));
  return `${[inputs, ...widths].join("-")} on ${job.data.kind}`;
}

/** Makes the folder of the results. Throws DISK_FAILED where they could not be written, before hours of measuring are lost. */
export async function prepareFolder({ out }: Experiment): Promise<void> {
  await onDisk(out, async () => {
    await makeFolders(out);
    await rmdir(await mkdtemp(join(out, ".trial-")));
  });
}

/** Everything that is printed: a table of what was measured, and one for each series of what to expect of more workers. */
export function reportOf(results: Results, { grid, target }: Experiment): string[] {
  return [
    measuredTable(results.summaries, grid, target),
    "",
    ...results.summaries.map(({ point, advice }) => `${titleOf(point, grid)}: ${advice}`),
    "",
    ...modelSentences(results),
    ...results.predictions.flatMap((prediction) => [
      "",
      `with ${seriesTitle(prediction.from)} (as many as workers where those are more, up to half the samples), each worker on a machine of its own as fast as this one, its wire as fast as this machine's:`,
      predictionTable(prediction),
      predictionSentence(prediction),
    ]),
  ];
}

/** Writes results.json, results.csv and the plots into the prepared folder; resolves to their paths. Throws DISK_FAILED. */
export async function writeResults(
  experiment: Experiment,
  title: string,
  measured: readonly Measured[],
): Promise<{ results: Results; files: string[] }> {
  const cores = cpus().length;
  const results = resultsOf(measured, cores);
  const facts = {
    lockstep: version,
    node: process.version,
    date: new Date().toISOString(),
    machine: `${cpus()[0]?.model.trim() ?? "unknown processor"}, ${plural(cores, "core")}, ${process.platform}`,
  };
  const { job, out, ...rest } = experiment;
  const files = {
    "results.json": `${JSON.stringify({ ...facts, ...rest, job, ...results, measured }, null, 2)}\n`,
    "results.csv": csvOf(results.summaries),
    ...plotsOf(results, experiment.grid, title),
  };
  for (const [name, content] of Object.entries(files)) await writeAtomically(join(out, name), content);
  return { results, files: Object.keys(files).map((name) => join(out, name)) };
}
