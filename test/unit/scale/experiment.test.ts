/** Experiments as people write them: what is filled in, and every mistake named with its place. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { configOf, pointsOf, titleOf } from "../../../coordinator/scale/experiment.ts";
import { readExperiment } from "../../../coordinator/scale/read.ts";
import { configRefusal, configFolder } from "../../support/config.ts";

function experimentOf(yaml: string, flags = {}): ReturnType<typeof readExperiment> {
  const file = join(configFolder(), "config.yaml");
  writeFileSync(file, yaml);
  return readExperiment(file, flags);
}

test("without a file it is the classic network with 1, 2 and 4 workers", () => {
  const { grid, repeat, target, job } = readExperiment(undefined, {});
  expect(grid).toEqual({ workers: [1, 2, 4], threads: [1], shards: [8], batch: [128] });
  expect({ repeat, target, learningRate: job.optimizer.learningRate }).toEqual({
    repeat: 3,
    target: undefined,
    learningRate: 0.05,
  });
});

test("the job stands in the file or in one of its own, and flags win", () => {
  const inline = experimentOf("job: {batch: 64, optimizer: {adam: {learningRate: 0.01}}}\nworkers: [2, 1, 2]\n");
  expect(inline.grid).toEqual({ workers: [1, 2], threads: [1], shards: [8], batch: [64] });
  expect(inline.job.optimizer).toMatchObject({ kind: "adam", learningRate: 0.01 });
  const folder = configFolder();
  writeFileSync(join(folder, "job.yaml"), "batch: 32\n");
  writeFileSync(join(folder, "experiment.yaml"), "job: job.yaml\nrepeat: 5\n");
  const named = readExperiment(join(folder, "experiment.yaml"), { workers: "3", repeat: "2", layers: "784,32,10" });
  expect([named.job.batch, named.repeat, named.grid.workers]).toEqual([32, 2, [3]]);
  expect(named.job.model.layers).toHaveLength(2);
});

test("a point is every combination, named by what differs", () => {
  const grid = { workers: [1, 2], threads: [1], shards: [8], batch: [64, 256] };
  expect(pointsOf(grid).map((point) => titleOf(point, grid))).toEqual([
    "1 worker, batch 64",
    "2 workers, batch 64",
    "1 worker, batch 256",
    "2 workers, batch 256",
  ]);
});

test("the learning rate follows the batch only under the linear-scaling rule", () => {
  const experiment = experimentOf("job: {batch: 64}\nbatch: [64, 256]\nlinearScaling: true\n");
  const rate = (linearScaling: boolean, batch: number): number =>
    configOf({ ...experiment, linearScaling }, { workers: 1, threads: 1, shards: 8, batch }, "runs").optimizer
      .learningRate;
  expect([rate(false, 256), rate(true, 64), rate(true, 256)]).toEqual([0.05, 0.05, 0.2]);
});

test.each([
  ["workers: [0]\n", {}, "config.yaml:1: workers[0]: found 0, expected a whole number from 1 to 1024"],
  ["jobs: 3\n", {}, "config.yaml:1: jobs: unknown key; did you mean job?"],
  ["job:\n  batch: many\n", {}, 'config.yaml:2: batch: found "many", expected a whole number of at least 1'],
  ["job: 7\n", {}, "config.yaml:1: job: expected a config, or the path of a config file"],
  ["", { workers: "1,two" }, '--workers: found [1,"two"], expected a list of whole numbers from 1 on, as in [1, 2, 4]'],
  ["", { target: "97" }, "--target: found 97, expected a number from 0 to 1"],
])("%j with %j is refused with its place", (yaml, flags, sentence) => {
  const { code, message } = configRefusal(() => experimentOf(yaml, flags));
  expect({ code, message }).toEqual({ code: "CONFIG_INVALID", message: sentence });
});
