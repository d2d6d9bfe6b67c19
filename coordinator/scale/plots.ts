/** An experiment's three plots, as SVG by file name: throughput, what a step's time goes to, and what more workers would give. */
import { barChart } from "../charts/bar-chart.ts";
import type { Colour } from "../charts/frame.ts";
import { lineChart } from "../charts/line-chart.ts";
import type { Series } from "../charts/line-chart.ts";
import { isSameSeries, titleOf } from "./experiment.ts";
import type { Grid } from "./experiment.ts";
import { seriesTitle } from "./report.ts";
import type { Prediction, Results, Summary } from "./results.ts";

const colours: readonly Colour[] = ["blue", "orange", "green", "purple"];

export function plotsOf(results: Results, grid: Grid, job: string): Record<string, string> {
  return {
    "throughput.svg": throughput(results, job),
    "parts.svg": parts(results.summaries, grid, job),
    "prediction.svg": prediction(results, job),
  };
}

/** Measured samples a second with the spread of the runs, and the model's beside it. */
function throughput({ summaries, predictions }: Results, job: string): string {
  const series = predictions.flatMap(({ from }, index): Series[] => {
    const points = summaries.filter(({ point }) => isSameSeries(point, from));
    const name = predictions.length === 1 ? "" : `, ${seriesTitle(from)}`;
    const colour = colours[index % colours.length]!;
    const rateOf = (milliseconds: number): number => (1000 * from.batch) / milliseconds;
    return [
      {
        name: `predicted${name}`,
        colour: predictions.length === 1 ? "orange" : colour,
        mark: "dashes",
        points: points.map(({ point, predictedMilliseconds }) => ({
          x: point.workers,
          y: rateOf(predictedMilliseconds),
        })),
      },
      {
        name: `measured${name}`,
        colour,
        mark: "dots",
        points: points.map(({ point, samplesPerSecond: { median, least, greatest } }) => ({
          x: point.workers,
          y: median,
          least,
          greatest,
        })),
      },
    ];
  });
  return lineChart({
    title: `${job}: throughput on this machine`,
    x: { label: "workers", scale: "log2" },
    y: { label: "samples/s", scale: "linear", from: 0 },
    series,
  });
}

function parts(summaries: readonly Summary[], grid: Grid, job: string): string {
  return barChart({
    title: `${job}: where a step's time goes`,
    x: { label: "milliseconds a step", scale: "linear" },
    parts: [
      { name: "compute", colour: "blue" },
      { name: "reduction", colour: "orange" },
      { name: "wire", colour: "green" },
      { name: "waiting", colour: "quiet" },
    ],
    bars: summaries.map(({ point, parts: { compute, reduce, wire, wait } }) => ({
      name: titleOf(point, grid),
      values: [compute, reduce, wire, wait],
    })),
  });
}

/** To 1,024 workers, each on a machine of its own; of the first series, the others are in the table. */
function prediction({ predictions }: Results, job: string): string {
  const { curve, from, saturatesAt } = predictions[0] as Prediction;
  const line = (
    name: string,
    colour: Colour,
    mark: Series["mark"],
    y: (at: (typeof curve)[number]) => number,
  ): Series => ({
    name,
    colour,
    mark,
    points: curve.map((at) => ({ x: at.workers, y: y(at) })),
  });
  return lineChart({
    title: `${job}: predicted speed-up, a machine for each worker`,
    x: { label: "workers", scale: "log2" },
    y: { label: "times the samples/s of one worker", scale: "log2" },
    series: [
      line("ideal", "quiet", "dashes", ({ workers }) => workers),
      line(`batch ${from.batch}`, "blue", "line", ({ fixedBatch }) => fixedBatch.speedup),
      line(`batch ${from.batch} × workers`, "green", "line", ({ growingBatch }) => growingBatch.speedup),
    ],
    ...(saturatesAt === undefined
      ? {}
      : { marker: { x: saturatesAt, text: `coordinator saturates at ${saturatesAt}` } }),
  });
}
