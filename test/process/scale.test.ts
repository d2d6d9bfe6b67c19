/** `lockstep scale` as typed by a person: real runs of every point, and the files it leaves. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolder } from "../support/files.ts";
import { lockstep } from "../support/lockstep.ts";
import { writeMnistPart } from "../support/mnist.ts";

const experiment = `
job:
  data: { idx: digits }
  model: { layers: [{ dense: { units: 16, activation: relu } }, { dense: 10 }] }
  batch: 60
  epochs: 6
workers: [1, 2]
repeat: 1
`;

test("a grid is measured, explained and written; a target is trained to", async () => {
  const folder = await temporaryFolder();
  await writeMnistPart(join(folder, "digits"), 600, 200);
  await writeFile(join(folder, "experiment.yaml"), experiment);
  const out = join(folder, "results");
  const timed = await lockstep(["scale", join(folder, "experiment.yaml"), "--steps", "20", "--out", out]).finished;
  expect(timed.stderr).toMatch(/784-16-10 on idx.*run 1 of 2: 1 worker: .* a step.*run 2 of 2: 2 workers/s);
  expect(timed.stdout).toMatch(
    /^1 worker .*100 %.*\n2 workers .*\n\n1 worker: .* of a step.*\n2 workers: .* of a step.*\n\ncost of a step: /m,
  );
  expect(timed.code).toBe(0);
  const { summaries, predictions } = JSON.parse(await readFile(join(out, "results.json"), "utf8")) as {
    summaries: { parts: Record<string, number>; millisecondsAStep: { median: number } }[];
    predictions: unknown[];
  };
  expect(predictions).toHaveLength(1);
  for (const { parts, millisecondsAStep } of summaries) {
    const sum = Object.values(parts).reduce((total, part) => total + part, 0);
    expect(sum).toBeGreaterThanOrEqual(millisecondsAStep.median - 1e-9);
  }
  for (const file of ["results.csv", "throughput.svg", "parts.svg", "prediction.svg"])
    expect(await readFile(join(out, file), "utf8")).not.toBe("");

  const target = ["--target", "0.3", "--workers", "2", "--json"];
  const trained = await lockstep(["scale", join(folder, "experiment.yaml"), ...target, "--out", out]).finished;
  const [point] = (JSON.parse(trained.stdout) as { summaries: { target: { steps: number; seconds: number } }[] })
    .summaries;
  // An evaluation follows each epoch of ten steps.
  expect(point!.target.steps % 10).toBe(0);
  expect(point!.target.seconds).toBeGreaterThan(0);
});

test("an experiment that is stopped before its first run has ended says that there is nothing to report", async () => {
  const folder = await temporaryFolder();
  await writeMnistPart(join(folder, "digits"), 600, 200);
  await writeFile(join(folder, "experiment.yaml"), experiment);
  const scale = lockstep(["scale", "experiment.yaml", "--steps", "1000000"], folder);
  scale.process.stderr!.on("data", (text: Buffer) => {
    if (text.includes("warming up")) scale.process.kill("SIGINT");
  });
  const { code, stdout, stderr } = await scale.finished;
  expect({ code, stdout }).toEqual({ code: 0, stdout: "" });
  expect(stderr).toMatch(/^stopping: .*\nnothing has been measured yet: nothing is written\n$/m);
});

test("results that could not be written are refused before anything is measured", async () => {
  const folder = await temporaryFolder();
  await writeMnistPart(join(folder, "digits"), 600, 200);
  await writeFile(join(folder, "experiment.yaml"), experiment);
  // As a name that the experiment has taken already.
  const out = join(folder, "experiment.yaml");
  const { code, stderr } = await lockstep(["scale", out, "--out", out], folder).finished;
  expect(code).toBe(1);
  expect(stderr).toMatch(/experiment\.yaml: ENOTDIR \[DISK_FAILED\]\n {2}what to do: /);
  expect(stderr).not.toContain("warming up");
});
