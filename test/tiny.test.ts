/** The whole system in seconds: two worker processes train 300 digits over WebSockets, and the result can be used. */
import { join } from "node:path";
import { expect, test } from "vitest";
import { train } from "../coordinator/index.ts";
import type { RunEvent } from "../coordinator/index.ts";
import { temporaryFolder } from "./support/files.ts";
import { writeMnistPart } from "./support/mnist.ts";

test("two workers train a small network to the bits that one worker gives", async () => {
  const folder = await temporaryFolder();
  await writeMnistPart(join(folder, "digits"), 300, 100);
  const events: RunEvent[] = [];
  const run = (name: string, workers: number) =>
    train(
      { name, runs: folder, workers, data: { kind: "idx", path: join(folder, "digits") }, epochs: 4, batch: 30 },
      { onEvent: (event) => events.push(event) },
    );
  const two = await run("two", 2);
  expect(two.outcome).toBe("completed");
  expect(two.steps).toBe(40);
  expect(two.testAccuracy).toBeGreaterThan(0.6);
  expect(events.filter(({ type }) => type === "step")).toHaveLength(40);
  expect((await run("one", 1)).parametersSha256).toBe(two.parametersSha256);
});
