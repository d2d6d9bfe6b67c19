/** The whole system in seconds: worker processes train on 300 digits, over WebSockets and through shared memory, and the model is used. */
import { join } from "node:path";
import { expect, test } from "vitest";
import { train } from "../coordinator/index.ts";
import type { RunEvent } from "../coordinator/index.ts";
import { temporaryFolder } from "./support/files.ts";
import { correctInBareOnnxruntime, writeMnistPart } from "./support/mnist.ts";

test("two workers over WebSockets train a small network to the bits that one worker gives, and its model file knows the digits elsewhere", async () => {
  const folder = await temporaryFolder();
  const digits = join(folder, "digits");
  await writeMnistPart(digits, 300, 100);
  const events: RunEvent[] = [];
  const run = (name: string, workers: number, sharedMemory: boolean) =>
    train(
      { name, runs: folder, workers, sharedMemory, data: { kind: "idx", path: digits }, epochs: 4, batch: 30 },
      { onEvent: (event) => events.push(event) },
    );
  const two = await run("two", 2, false);
  expect(two.outcome).toBe("completed");
  expect(two.steps).toBe(40);
  expect(two.testAccuracy).toBeGreaterThan(0.6);
  expect(two.profile.bytesShared).toBe(0);
  expect(events.filter(({ type }) => type === "step")).toHaveLength(40);
  expect(await correctInBareOnnxruntime(two.models[0]!, digits)).toBe(Math.round(two.testAccuracy! * 100));
  expect((await run("one", 1, true)).parametersSha256).toBe(two.parametersSha256);
});
