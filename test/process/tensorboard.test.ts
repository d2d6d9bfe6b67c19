/** A run's event files, read by TensorBoard itself: every step and epoch once, also after a kill. */
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { TensorBoardLog } from "../../coordinator/run-folder/tensorboard.ts";
import { temporaryFolder } from "../support/files.ts";
import { asEvents, lockstep } from "../support/lockstep.ts";
import { writeMnistPart } from "../support/mnist.ts";
import { hasTensorBoard, readWithTensorBoard } from "../support/tensorboard.ts";

interface Line {
  readonly type: "step" | "epoch";
  readonly step: number;
  readonly loss: number;
  readonly testAccuracy?: number;
  readonly learningRate: number;
}

const pointsOf = (lines: readonly Line[], type: Line["type"], value: (line: Line) => number): [number, number][] =>
  lines.filter((line) => line.type === type).map((line) => [line.step, Math.fround(value(line))]);

describe.skipIf(!hasTensorBoard)(`event files${hasTensorBoard ? "" : " (skipped: no python with tensorboard)"}`, () => {
  test("hold what metrics.jsonl holds, of a run that was killed and went on", async () => {
    const folder = await temporaryFolder();
    await writeMnistPart(join(folder, "digits"), 300, 100);
    await writeFile(join(folder, "job.yaml"), "data: { idx: digits }\nbatch: 30\ncheckpoint: { everySteps: 150 }\n");
    const words = [..."train job.yaml --name curves --epochs 200 --tensorboard --continue".split(" "), ...asEvents];
    const run = join(folder, "runs", "curves");
    const files = async (): Promise<string[]> =>
      (await readdir(run)).filter((name) => name.startsWith("events.out.tfevents."));
    const killed = lockstep(words, folder);
    // At once: what the first file lacks of the steps before the checkpoint, the second does not have either.
    await killed.event("checkpoint");
    killed.killAll();
    const { code, stderr } = await lockstep(words, folder).finished;
    expect(code, stderr).toBe(0);
    expect(await files()).toHaveLength(2);
    const lines = (await readFile(join(run, "metrics.jsonl"), "utf8")).trim().split("\n");
    const metrics = lines.map((line) => JSON.parse(line) as Line);
    const { curves, complaints } = readWithTensorBoard(join(folder, "runs"));
    expect(complaints).not.toMatch(/corrupt|DataLoss|mismatch/i);
    const curve = curves["curves"]!;
    expect(curve["step/loss"]).toEqual(pointsOf(metrics, "step", ({ loss }) => loss));
    expect(curve["step/loss"]).toHaveLength(2_000);
    expect(curve["step/learning_rate"]).toEqual(pointsOf(metrics, "step", ({ learningRate }) => learningRate));
    expect(curve["epoch/loss"]).toEqual(pointsOf(metrics, "epoch", ({ loss }) => loss));
    expect(curve["test/accuracy"]).toEqual(pointsOf(metrics, "epoch", ({ testAccuracy }) => testAccuracy!));
  }, 60_000);

  test("take back the steps behind the checkpoint that a run goes on from", async () => {
    const runs = await temporaryFolder();
    const runPath = join(runs, "curves");
    await mkdir(runPath);
    const write = async (start: number, steps: readonly number[], loss: number): Promise<void> => {
      const onFailure = (error: unknown): void => expect.unreachable(String(error));
      const log = new TensorBoardLog({
        runPath,
        steps: steps[0]! - 1,
        now: () => start,
        onFailure,
        check: async () => {},
      });
      for (const step of steps) log.add({ ...stepEvent, step, loss });
      await log.flush();
    };
    await write(10_000, [1, 2, 3, 4, 5], 0.5);
    await write(20_000, [3, 4], 0.25);
    const { curves } = readWithTensorBoard(runs);
    const losses = Object.fromEntries(curves["curves"]!["step/loss"]!);
    expect(losses).toEqual({ 1: 0.5, 2: 0.5, 3: 0.25, 4: 0.25 });
  });
});

const stepEvent = {
  type: "step",
  steps: 5,
  epoch: 1,
  epochs: 1,
  accuracy: 0.5,
  learningRate: 0.1,
  samplesPerSecond: 1,
  secondsLeft: 0,
  workers: 1,
} as const;
