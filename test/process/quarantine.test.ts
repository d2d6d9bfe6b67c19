/** A worker that computes wrongly is found out and let go, and the run ends in the bits of honest ones. */
import { fork } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { readConfigFile } from "../../coordinator/config/file.ts";
import { configFromWritten } from "../../coordinator/config/resolve.ts";
import type { RunEvent } from "../../coordinator/events.ts";
import { EngineReferee } from "../../coordinator/exchange/referee.ts";
import { startRun } from "../../coordinator/run/run.ts";
import type { RunHandle } from "../../coordinator/run/run.ts";
import { temporaryFolder } from "../support/files.ts";
import { asEvents, lockstep, program, worker } from "../support/lockstep.ts";
import { freePort } from "../support/ports.ts";
import { writeMnistPart } from "../support/mnist.ts";

vi.mock("node:child_process", { spy: true });

const job = (runs: string): string => `
data: { idx: data }
runs: ${runs}
model: { layers: [{ dense: { units: 24, activation: relu } }, { dense: 10 }] }
optimizer: { adam: { learningRate: 0.002 } }
batch: 60
shards: 5
epochs: 2
minWorkers: 2
`;

async function prepare(): Promise<{
  folder: string;
  config: string;
  undisturbed: { parametersSha256: string; audits: number };
}> {
  const folder = await temporaryFolder();
  const config = join(folder, "job.yaml");
  await writeMnistPart(join(folder, "data"), 2_003, 300);
  await writeFile(config, job(join(folder, "runs")));
  const undisturbed = await lockstep([
    "train",
    config,
    "--name",
    "undisturbed",
    "--audit",
    "0.5",
    ...asEvents,
  ]).result();
  return { folder, config, undisturbed };
}

test.each([
  ["sends wrong bits, under audit", "bit", "1"],
  ["sends what is no number, without audit", "nan", "0"],
])(
  "a worker that %s, is quarantined and not taken back, and changes no bit",
  async (_what, lie, audit) => {
    const { folder, config, undisturbed } = await prepare();
    expect(undisturbed.audits).toBeGreaterThan(20);
    const port = await freePort();
    const url = `ws://127.0.0.1:${port}`;
    const run = lockstep([
      "coordinator",
      config,
      "--name",
      "lied-to",
      "--port",
      `${port}`,
      "--audit",
      audit,
      ...asEvents,
    ]);
    await run.event("listening");
    const liar = program("test/support/lying-worker.ts", [url, "liar", lie, "30"]);
    worker([url, "--name", "a"]);
    const { step, since } = await run.event("quarantined", (event) => event.worker === "liar");
    expect(step).toBeGreaterThan(30);
    expect(since).toBeLessThanOrEqual(31);
    expect(await liar.finished).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("sent a wrong gradient for step"),
    });
    // The run waits: one worker is too few. The liar is not taken back under its name.
    const again = program("test/support/lying-worker.ts", [url, "liar", lie, "30"]);
    expect((await again.finished).stderr).toContain(
      "the coordinator refused this worker: worker liar sent a wrong gradient",
    );
    worker([url, "--name", "b"]);
    const result = await run.result();
    expect(result.parametersSha256).toBe(undisturbed.parametersSha256);
    const manifest = JSON.parse(await readFile(join(folder, "runs/lied-to/manifest.json"), "utf8")) as object;
    expect(manifest).toMatchObject({ quarantined: [{ worker: "liar", step, since }] });
  },
  300_000,
);

test("a worker whose sums are damaged in shared memory is believed once they are sound, and blamed for the time they take", async () => {
  const { config, undisturbed } = await prepare();
  const port = await freePort();
  const run = lockstep(["coordinator", config, "--name", "torn", "--port", `${port}`, ...asEvents]);
  await run.event("listening");
  program("test/support/lying-worker.ts", [`ws://127.0.0.1:${port}`, "torn", "torn", "5"]);
  worker([`ws://127.0.0.1:${port}`, "--name", "a"]);
  const { message } = await run.event("warning", ({ code }) => code === "PARTIAL_CORRUPT");
  expect(message).toBe(
    "the sum that worker torn left in shared memory for step 11 is damaged: the step begins anew, and the worker rests a while",
  );
  expect((await run.result()).parametersSha256).toBe(undisturbed.parametersSha256);
  expect(run.events.filter(({ type }) => type === "quarantined" || type === "worker-lost")).toEqual([]);
}, 300_000);

/** A run in this process, whose only worker of its own lies from step 30 on. */
async function runWithLiar(config: string, minWorkers: number): Promise<{ run: RunHandle; warnings: string[] }> {
  const liar = new URL("../support/lying-worker.ts", import.meta.url);
  vi.mocked(fork).mockImplementationOnce((_file, args, options) =>
    fork(liar, [args![0]!, "worker-1", "bit", "30"], options),
  );
  const warnings: string[] = [];
  const onEvent = (event: RunEvent): void => {
    if (event.type === "warning") warnings.push(event.message);
  };
  const asked = configFromWritten(readConfigFile(config), { name: "lied-to", audit: "1" });
  const run = await startRun({ config: { ...asked, minWorkers }, resume: false, localWorkers: 1, onEvent });
  onTestFinished(async () => {
    run.stop();
    await run.finished.catch(() => {});
  });
  return { run, warnings };
}

test("with its only own worker in quarantine a run goes on with those from elsewhere", async () => {
  const { config, undisturbed } = await prepare();
  const { run, warnings } = await runWithLiar(config, 2);
  for (const name of ["a", "b"]) worker([run.url, "--name", name]);
  expect(await run.finished).toMatchObject({ outcome: "completed", parametersSha256: undisturbed.parametersSha256 });
  expect(warnings).toContainEqual(
    expect.stringMatching(/^every local worker sent wrong gradients: the run goes on with [12] from elsewhere$/),
  );
}, 300_000);

test("with its only worker in quarantine a run ends and says why", async () => {
  const { config } = await prepare();
  const { run } = await runWithLiar(config, 1);
  await expect(run.finished).rejects.toMatchObject({
    code: "WORKERS_EXHAUSTED",
    message: "every local worker sent wrong gradients, and none is left to compute",
  });
}, 300_000);

test("where the coordinator's own engine fails a third worker tells who lied, and the run goes on", async () => {
  const { config, undisturbed } = await prepare();
  const asked = vi.spyOn(EngineReferee.prototype, "sumOver").mockRejectedValue(new Error("EIO: i/o error, read"));
  onTestFinished(() => asked.mockRestore());
  const { run, warnings } = await runWithLiar(config, 3);
  for (const name of ["a", "b"]) worker([run.url, "--name", name]);
  await vi.waitFor(() => expect(warnings).toContainEqual(expect.stringContaining("the run goes on with 2")), 60_000);
  worker([run.url, "--name", "c"]);
  expect(await run.finished).toMatchObject({ outcome: "completed", parametersSha256: undisturbed.parametersSha256 });
  expect(warnings).toContain("the coordinator cannot compute a gradient: EIO: i/o error, read");
}, 300_000);
