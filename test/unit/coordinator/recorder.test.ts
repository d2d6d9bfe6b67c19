/** What a run leaves on disk, in which order. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it, onTestFinished, vi } from "vitest";
import type { CoordinatorState } from "../../../coordinator/core/state.ts";
import { Crew, CREW_BYTES } from "../../../coordinator/crew/crew.ts";
import type { RunEvent } from "../../../coordinator/events.ts";
import { ParameterStore, parameterBytes } from "../../../coordinator/exchange/parameters.ts";
import { Recorder } from "../../../coordinator/run/recorder.ts";
import type { RecorderParts } from "../../../coordinator/run/recorder.ts";
import { Checkpoints } from "../../../coordinator/run-folder/checkpoints.ts";
import { createRun, type RunFolder } from "../../../coordinator/run-folder/folder.ts";
import { MetricsLog } from "../../../coordinator/run-folder/metrics.ts";
import { instantiateKernels } from "../../../shared/kernels/index.ts";
import { Arena } from "../../../shared/memory/arena.ts";
import { memoryInUse } from "../../fuzz/memory.ts";
import { CoordinatorTrace } from "../../support/coordinator-trace.ts";
import { temporaryFolder } from "../../support/files.ts";
import { exampleManifest } from "../../support/manifest.ts";
import { exampleLayout } from "../../support/snapshot.ts";

const manifest = { ...exampleManifest, layoutHash: exampleLayout.hash, parameters: 8 };

interface Bench {
  readonly recorder: Recorder;
  readonly folder: RunFolder;
  readonly state: CoordinatorTrace["state"];
  readonly told: RunEvent["type"][];
}

/** Of a run that has just begun, whose first worker is known. */
async function bench(): Promise<Bench> {
  const folder = await createRun(join(await temporaryFolder(), "run"), { config: {}, manifest });
  onTestFinished(() => folder.close());
  const optimizer = { spec: { kind: "sgd", learningRate: 1 }, surroundings: { layout: exampleLayout } } as const;
  const arena = new Arena(CREW_BYTES + parameterBytes(exampleLayout, optimizer));
  const kernels = instantiateKernels(arena.memory);
  const store = new ParameterStore(arena, kernels, exampleLayout, new Crew(arena, kernels, optimizer), () => 1);
  const told: RunEvent["type"][] = [];
  const recorder = new Recorder({ folder, manifest, store, keep: 1, notify: ({ type }) => told.push(type) });
  await recorder.open(0, false);
  const run = new CoordinatorTrace();
  run.join("a");
  return { recorder, folder, state: run.state, told };
}

it.each<[what: string, begin: (bench: Bench, written: Promise<void>) => void]>([
  [
    "the lines of its steps",
    ({ recorder }, written) => {
      vi.spyOn(MetricsLog.prototype, "flush").mockReturnValue(written.then(() => 0));
      recorder.append({ type: "step", step: 1 });
    },
  ],
  [
    "what is known of the workers",
    ({ recorder, folder, state }, written) => {
      vi.spyOn(folder, "writeManifest").mockReturnValue(written);
      recorder.remember(state);
    },
  ],
  [
    "the best one",
    ({ recorder, state }, written) => {
      vi.spyOn(Checkpoints.prototype, "saveBest").mockReturnValue(written);
      recorder.keepBest(state);
    },
  ],
  ["whatever else belongs to its steps", ({ recorder }, written) => recorder.beforeCheckpoints(() => written)],
])("a checkpoint is not on disk before %s", async (_, begin) => {
  onTestFinished(() => void vi.restoreAllMocks());
  const run = await bench();
  const { recorder, folder, state, told } = run;
  const written = Promise.withResolvers<void>();
  begin(run, written.promise);
  recorder.checkpoint(state, () => {});
  await sleep(100);
  expect(await readdir(join(folder.path, "checkpoints"))).toEqual([]);
  written.resolve();
  expect(await recorder.close()).toBeUndefined();
  expect(await readdir(join(folder.path, "checkpoints"))).toEqual(["step-00000000.safetensors"]);
  expect(told).toEqual(["checkpoint"]);
});

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
