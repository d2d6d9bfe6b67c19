import { expect, it } from "vitest";
import type { CoordinatorState } from "../../../coordinator/core/state.ts";
import { Recorder } from "../../../coordinator/recorder.ts";
import type { RecorderParts } from "../../../coordinator/recorder.ts";
import { memoryInUse } from "../../fuzz/memory.ts";
import { exampleLayout } from "../../support/snapshot.ts";

it("a run however long holds on to nothing of what was written", async () => {
  const folder = { path: "nowhere", writeManifest: () => Promise.resolve() };
  const parts = { folder, manifest: {}, store: { layout: exampleLayout } } as unknown as RecorderParts;
  const recorder = new Recorder(parts);
  const write = async (times: number): Promise<void> => {
    for (let time = 0; time < times; time++)
      recorder.remember({ fingerprint: String(time), quarantined: new Map() } as unknown as CoordinatorState);
    await recorder.close();
  };
  await write(1_000);
  const before = memoryInUse();
  await write(100_000);
  expect(memoryInUse() - before).toBeLessThan(2 ** 20);
});
