/** The growth benchmark's rows as tables, slopes and charts. */
import { table } from "../../../coordinator/cli/table.ts";
import type { LineChart, Series } from "../../../coordinator/charts/line-chart.ts";
import { shown, spread } from "../measure.ts";
import { slopeOf } from "./observe.ts";
import type { Observed } from "./observe.ts";

export interface Row {
  /** Workers, or parameters. */
  readonly x: number;
  readonly rounds: Observed[];
}

export const megabytes = (bytes: number): number => bytes / 2 ** 20;

const medianOf = (row: Row, figure: (observed: Observed) => number): number => spread(row.rounds.map(figure)).median;
const stepTime = (observed: Observed): number => observed.millisecondsAStep;
const processorTime = (observed: Observed): number => observed.processor;
const coordinatorMemory = ({ coordinator }: Observed): number => megabytes(coordinator.resident);

export function printRows(title: string, rows: readonly Row[]): void {
  console.log(`${title}, ms a step`);
  const cells = rows.map((row) => [
    row.x.toLocaleString("en-US"),
    shown(spread(row.rounds.map(stepTime))),
    shown(spread(row.rounds.map(processorTime))),
    coordinatorMemory(row.rounds[0]!).toFixed(0),
  ]);
  console.log(table([["", "step", "coordinator's processor", "coordinator's memory, MiB"], ...cells]));
}

export const slopes = (rows: readonly Row[]): { readonly step: number; readonly processor: number } => ({
  step: slopeOf(rows.map((row) => ({ x: row.x, y: medianOf(row, stepTime) }))),
  processor: slopeOf(rows.map((row) => ({ x: row.x, y: medianOf(row, processorTime) }))),
});

/** Memory against the bytes of the parameters, above what the smallest network takes. */
export function printMemory(rows: readonly Row[]): void {
  const [smallest] = rows;
  const cells = rows.map((row) => {
    const bytes = 4 * row.x;
    const figures = (["coordinator", "worker"] as const).flatMap((who) => {
      const resident = medianOf(row, (observed) => observed[who].resident);
      const shared = medianOf(row, (observed) => observed[who].shared);
      const more = resident - medianOf(smallest!, (observed) => observed[who].resident);
      const times = bytes < 2 ** 20 ? "" : (more / bytes).toFixed(1);
      return [megabytes(resident).toFixed(0), megabytes(shared).toFixed(0), times];
    });
    return [row.x.toLocaleString("en-US"), megabytes(bytes).toFixed(1), ...figures];
  });
  const names = ["parameters", "MiB", "coordinator", "of it shared", "times", "worker", "of it shared", "times"];
  console.log(`Resident memory in MiB, and how many times the parameters it is more than with the smallest network`);
  console.log(`${table([names, ...cells])}\n`);
}

export function chartOf(title: string, label: string, scale: "log2" | "log10", rows: readonly Row[]): LineChart {
  const series = (name: string, colour: Series["colour"], figure: (observed: Observed) => number): Series => ({
    name,
    colour,
    mark: "dots",
    points: rows.map((row) => {
      const { median, min, max } = spread(row.rounds.map(figure));
      return { x: row.x, y: median, least: min, greatest: max };
    }),
  });
  return {
    title,
    x: { label, scale },
    y: { label: "milliseconds, MiB", scale: "log10" },
    series: [
      series("step", "blue", stepTime),
      series("coordinator's processor a step", "orange", processorTime),
      series("coordinator's memory, MiB", "green", coordinatorMemory),
    ],
  };
}
