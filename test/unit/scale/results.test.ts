/** From measurements to tables, CSV and plots. */
import { expect, test } from "vitest";
import { csvOf, measuredTable, predictionSentence } from "../../../coordinator/scale/report.ts";
import { plotsOf } from "../../../coordinator/scale/plots.ts";
import { resultsOf } from "../../../coordinator/scale/results.ts";
import type { Measurement } from "../../../coordinator/scale/measure.ts";

const run = (millisecondsAStep: number, reached?: Measurement["reached"]): Measurement => ({
  millisecondsAStep,
  parts: { compute: 0.5 * millisecondsAStep, reduce: 0, wire: 0.2 * millisecondsAStep, wait: 0.3 * millisecondsAStep },
  coordinatorCores: 0.25,
  bytesAStep: 1000,
  parameters: 50_890,
  reached,
  testAccuracy: undefined,
});

const point = (workers: number) => ({ workers, threads: 1, shards: 8, batch: 128 });
const grid = { workers: [1, 4], threads: [1], shards: [8], batch: [128] };
const measured = [
  { point: point(1), runs: [run(4), run(2, { steps: 469, seconds: 3 }), run(3)] },
  { point: point(4), runs: [run(1), run(1.5)] },
];
const results = resultsOf(measured, 2);

test("a point has the median and the spread of its runs, speed-up and efficiency against the first point", () => {
  const [one, four] = results.summaries;
  expect(one).toMatchObject({
    speedup: 1,
    efficiency: 1,
    millisecondsAStep: { median: 3, least: 2, greatest: 4 },
    target: { runs: 1, steps: 469, seconds: 3 },
  });
  // Of two runs the upper counts: 1.5 ms, half the time with four times the workers.
  expect(four).toMatchObject({ speedup: 2, efficiency: 0.5, target: undefined });
  expect(one!.predictionError).toBeCloseTo(one!.predictedMilliseconds / 3 - 1, 12);
});

test("the table has a row a point, the CSV a column a figure", () => {
  const [header, one, four] = measuredTable(results.summaries, grid, 0.97).split("\n");
  expect(header).toMatch(/samples\/s.*efficiency.*waiting.*coordinator CPU.*predicted.*to 97\.0 %/);
  expect(one).toMatch(
    /^1 worker .*1\.00× .*100 % .*50 % .*0 % .*20 % .*30 % .*25 % .*3\.0 s, 469 steps \(1 of 3 runs\)$/,
  );
  expect(four).toMatch(/^4 workers .*2\.00× .*not reached$/);
  const [columns, ...rows] = csvOf(results.summaries).trimEnd().split("\n");
  expect(rows.map((row) => row.split(",").length)).toEqual([columns!.split(",").length, columns!.split(",").length]);
  expect(rows[1]).toMatch(/^4,1,8,128,2,/);
});

test("the prediction goes to 1,024 workers and names the point of saturation", () => {
  const [prediction] = results.predictions;
  expect(prediction!.curve.map(({ workers }) => workers)).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]);
  expect(prediction!.curve[0]!.fixedBatch.speedup).toBe(1);
  expect(predictionSentence({ ...prediction!, fastest: 7, saturatesAt: 9 })).toBe(
    "at batch 128 a step is shortest with 7 workers; the coordinator saturates at 9 workers: from there its own work on a step takes longer than all else",
  );
});

test("the plots are SVG with every point, and what stands in them is escaped", () => {
  const plots = plotsOf(results, grid, "a <b> & c");
  expect(Object.keys(plots)).toEqual(["throughput.svg", "parts.svg", "prediction.svg"]);
  for (const svg of Object.values(plots)) {
    expect(svg).toMatch(/^<svg [^]*<\/svg>\n$/);
    expect(svg).toContain("a &lt;b&gt; &amp; c");
    expect(svg).not.toContain("NaN");
  }
  expect(plots["throughput.svg"]!.match(/<circle class="fill blue" cx="\S+" cy="\S+" r="4"><title>/g)).toHaveLength(2);
  expect(
    plots["parts.svg"]!.match(/<rect class="fill \w+" x="\S+" y="\S+" width="\S+" height="\S+"><title>/g),
  ).toHaveLength(8);
});
