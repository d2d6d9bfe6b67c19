/**
 * Disks that fail under real runs: full, read-only, or with failing calls. The failure is reported, training goes on, the last
 * good checkpoint stays, and the run ends in the undisturbed run's bits with every line of its metrics.
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync, openSync } from "node:fs";
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import type { RunResult } from "../../coordinator/events.ts";
import type { Manifest } from "../../coordinator/run-folder/manifest.ts";
import { Checkpoints } from "../../coordinator/run-folder/checkpoints.ts";
import { findRun } from "../../coordinator/run-folder/find.ts";
import { loadTrained } from "../../coordinator/trained/trained.ts";
import { decodeSnapshot } from "../../shared/checkpoint/snapshot.ts";
import type { Layout } from "../../shared/memory/layout.ts";
import { cannotDrop, cannotInject, cannotMount, freeze, inject, SmallDisk, unprivileged } from "../support/disks.ts";
import type { Fault } from "../support/disks.ts";
import { temporaryFolder } from "../support/files.ts";
import { asEvents, lockstep, worker } from "../support/lockstep.ts";
import { Lockstep } from "../support/lockstep-process.ts";
import type { Finished } from "../support/lockstep-process.ts";
import { writeMnistPart } from "../support/mnist.ts";

// 2,003 samples make an uneven last batch; Adam's state makes a checkpoint of 230 KB. Seconds of steps: a run must not end
// before a test that waits for a processor has done to it what it is about to do.
const job = `
data: { idx: data }
model: { layers: [{ dense: { units: 24, activation: relu } }, { dense: 10 }] }
optimizer: { adam: { learningRate: 0.0005 } }
batch: 60
shards: 5
epochs: 36
workers: 1
evaluateEvery: 12
`;
const room = 4 * 2 ** 20;
const halfACheckpoint = 120_000;
const fullLog = "/dev/full";

/** Configs, data, and the undisturbed run. */
let place: string;
let reference: Lockstep;
let undisturbed: { result: RunResult; figures: string[]; layout: Layout };

beforeAll(async () => {
  place = await mkdtemp(join(tmpdir(), "lockstep-test-"));
  await writeMnistPart(join(place, "data"), 2_003, 300);
  await writeFile(join(place, "steps.yaml"), `${job}checkpoint: { everySteps: 10, everySeconds: 0 }\n`);
  await writeFile(join(place, "seconds.yaml"), `${job}checkpoint: { everySteps: 0, everySeconds: 0.05 }\n`);
  const long = job.replace("epochs: 36", "epochs: 100000");
  await writeFile(join(place, "long.yaml"), `${long}checkpoint: { everySteps: 0, everySeconds: 0 }\n`);
  reference = new Lockstep("coordinator/cli/main.ts", trainIn(place));
  const result = await reference.result();
  const { layout } = await loadTrained(findRun("run", place), refuse);
  undisturbed = { result, figures: await figuresIn(place), layout };
}, 300_000);

afterAll(() => {
  reference.killAll();
  return rm(place, { recursive: true, force: true });
});

const trainIn = (runs: string, config = "steps.yaml"): string[] => [
  "train",
  join(place, config),
  "--runs",
  runs,
  "--name",
  "run",
  ...asEvents,
];

const resume = (runs: string): Lockstep => lockstep(["train", "--resume", "run", "--runs", runs, ...asEvents]);

const refuse = (error: Error): void => {
  throw error;
};

const because = (reason: string | undefined): string => (reason === undefined ? "" : ` (skipped: ${reason})`);

/** The lines of metrics.jsonl, without what depends on time. */
async function figuresIn(runs: string): Promise<string[]> {
  const lines = await readFile(join(runs, "run", "metrics.jsonl"), "utf8");
  expect(lines.at(-1)).toBe("\n");
  return lines
    .trimEnd()
    .split("\n")
    .map((line) => {
      const timeless = { seconds: 0, samplesPerSecond: 0, workers: 0 };
      return JSON.stringify({ ...(JSON.parse(line) as object), ...timeless });
    });
}

const stepLinesIn = async (runs: string): Promise<number> =>
  (await figuresIn(runs)).filter((line) => line.includes('"type":"step"')).length;

const stepsOf = (run: Lockstep): number => run.events.findLast((event) => event.type === "step")?.step ?? 0;

/** Resolves once the run has taken more steps. */
async function trainsOn(run: Lockstep, steps = 20): Promise<void> {
  const enough = stepsOf(run) + steps;
  await run.event("step", ({ step }) => step >= enough);
}

async function order(run: Lockstep, command: string): Promise<void> {
  const { url } = await run.event("listening");
  const { status } = await fetch(`${url.replace("ws", "http")}/api/${command}`, { method: "POST" });
  expect(status).toBe(200);
}

/** What `look` sees while the run's coordinator stands still. */
async function frozen<T>(run: Lockstep, look: () => Promise<T>): Promise<T> {
  try {
    await freeze(run.process);
    return await look();
  } finally {
    run.process.kill("SIGCONT");
  }
}

const checkpointsOf = (runs: string): Checkpoints => new Checkpoints(join(runs, "run"), undisturbed.layout);

/** Digests of the checkpoints by path. All must be whole, the product's own reader takes the newest, and there is one. */
async function checkpointsIn(runs: string): Promise<Map<string, string>> {
  const checkpoints = checkpointsOf(runs);
  const files = new Map<string, string>();
  for (const { path, step } of await checkpoints.list()) {
    const bytes = await readFile(path);
    expect(decodeSnapshot(undisturbed.layout, bytes, path).step).toBe(step);
    files.set(path, createHash("sha256").update(bytes).digest("hex"));
  }
  expect(await checkpoints.readNewest(refuse)).toBeDefined();
  return files;
}

/** The run ends well, with the undisturbed run's bits, and leaves every line of its metrics and nothing half written. */
async function expectUndisturbed(run: Lockstep, runs: string): Promise<void> {
  const { parametersSha256, testLoss, steps } = await run.result();
  const { result } = undisturbed;
  expect({ parametersSha256, testLoss, steps }).toEqual({
    parametersSha256: result.parametersSha256,
    testLoss: result.testLoss,
    steps: result.steps,
  });
  expect((await run.finished).code).toBe(0);
  expect(await figuresIn(runs)).toEqual(undisturbed.figures);
  const left = await readdir(join(runs, "run"), { recursive: true });
  expect(left.filter((name) => name.endsWith(".partial"))).toEqual([]);
}

/** Breaks a disk and resolves to what repairs it. */
type Break = () => Promise<() => Promise<void>>;

/**
 * A run whose disk fails in the middle and recovers. Each of `says` matches one thing that is told of it. Meanwhile `left`
 * may be on disk: the checkpoints there were when it was told, and no others unless they are whole.
 */
async function survives(
  run: Lockstep,
  runs: string,
  breakDisk: Break,
  says: readonly RegExp[],
  left: "the old ones" | "whole ones" = "the old ones",
): Promise<void> {
  await run.event("checkpoint", ({ step }) => step >= 30);
  const repair = await breakDisk();
  for (const sentence of says)
    await run.event("warning", ({ code, message }) => code === "DISK_FAILED" && sentence.test(message));
  const good = await frozen(run, () => checkpointsIn(runs));
  await trainsOn(run);
  await frozen(run, async () => {
    const now = await checkpointsIn(runs);
    for (const [path, digest] of good) expect(now.get(path), path).toBe(digest);
    const most = left === "the old ones" ? good.size : Number.POSITIVE_INFINITY;
    expect(now.size).toBeGreaterThanOrEqual(good.size);
    expect(now.size).toBeLessThanOrEqual(most);
    await repair();
  });
  const repaired = stepsOf(run);
  await run.event("checkpoint", ({ step }) => step > repaired);
  await expectUndisturbed(run, runs);
}

const isFull = (run: Lockstep, disk: SmallDisk, left?: number): Break => {
  const fill = async (): Promise<boolean> => {
    // One that is being written has its room, and would give that of the oldest to the next.
    if ((await readdir(join(disk.folder, "run", "checkpoints"))).length > 3) return false;
    await disk.fill(left);
    return true;
  };
  return async () => {
    while (!(await frozen(run, fill))) await trainsOn(run, 1);
    return () => disk.free();
  };
};

const isReadOnly = (run: Lockstep, disk: SmallDisk): Break => {
  return async () => {
    while (!(await frozen(run, async () => disk.makeReadOnly()))) await trainsOn(run, 1);
    return async () => disk.makeWritable();
  };
};

describe(`a small disk${because(cannotMount)}`, { skip: cannotMount !== undefined }, () => {
  test.each([
    {
      what: "the middle of a checkpoint",
      left: halfACheckpoint,
      says: [/^cannot use .*step-\d{8}\.safetensors: ENOSPC$/],
    },
    {
      what: "the last byte",
      left: 0,
      says: [/^cannot use .*metrics\.jsonl: ENOSPC$/, /step-\d{8}\.safetensors: ENOSPC$/],
    },
  ])("is full to $what, and has room again", async ({ left, says }) => {
    const disk = await SmallDisk.mount(room);
    const run = lockstep(trainIn(disk.folder));
    await survives(run, disk.folder, isFull(run, disk, left), says);
  });

  test("is read-only for a while, with checkpoints by seconds", async () => {
    const disk = await SmallDisk.mount(room);
    const run = lockstep(trainIn(disk.folder, "seconds.yaml"));
    await survives(run, disk.folder, isReadOnly(run, disk), [/^cannot use .*: EROFS$/]);
  });

  test("is full when everything is killed", async () => {
    const disk = await SmallDisk.mount(room);
    const killed = lockstep(trainIn(disk.folder));
    const { step } = await killed.event("checkpoint", (event) => event.step >= 30);
    const free = await isFull(killed, disk)();
    await killed.event("warning", ({ message }) => message.includes("safetensors: ENOSPC"));
    await trainsOn(killed);
    killed.killAll();
    await killed.finished;
    await free();
    const again = lockstep([...trainIn(disk.folder), "--continue"]);
    expect((await again.event("listening")).resumedAt).toBeGreaterThanOrEqual(step);
    await expectUndisturbed(again, disk.folder);
  });

  test.each([
    { is: "full", broken: isFull, code: "ENOSPC" },
    { is: "read-only", broken: isReadOnly, code: "EROFS" },
  ])("is $is to the end of the run, which goes on from there when it is not any more", async ({ broken, code }) => {
    const disk = await SmallDisk.mount(room);
    const run = lockstep(trainIn(disk.folder));
    await run.event("checkpoint", ({ step }) => step >= 30);
    const repair = await broken(run, disk)();
    const path = join(disk.folder, "run");
    await expectRefusal(run.finished, `${path}/model.onnx`, code);
    const good = await checkpointsIn(disk.folder);
    await expectRefusal(resume(disk.folder).finished, path, code);
    expect(await checkpointsIn(disk.folder)).toEqual(good);
    await repair();
    const again = resume(disk.folder);
    await expectUndisturbed(again, disk.folder);
    expect((await again.result()).models).toEqual([`${path}/model.onnx`, `${path}/model.safetensors`]);
    expect(await readdir(path)).toEqual(expect.arrayContaining(["model.onnx", "model.safetensors"]));
  });

  test("is full when the run is stopped, which is not said to be kept", async () => {
    const disk = await SmallDisk.mount(room);
    const run = lockstep(trainIn(disk.folder));
    await run.event("checkpoint", ({ step }) => step >= 30);
    await isFull(run, disk)();
    run.process.kill("SIGINT");
    const { code, error, stderr } = await run.finished;
    expect(code).toBe(1);
    expect(error).toMatch(/^error: cannot use .*step-\d{8}\.safetensors: ENOSPC \[DISK_FAILED\]$/m);
    expect(stderr).toBe("");
    await disk.free();
    await expectUndisturbed(resume(disk.folder), disk.folder);
  });

  test.each(["a checkpoint is asked for", "the run is stopped"])(
    "is full during a pause: the checkpoint that failed is written when %s and there is room",
    async (when) => {
      const disk = await SmallDisk.mount(room);
      const run = lockstep(["train", join(place, "long.yaml"), ...trainIn(disk.folder).slice(2)]);
      await trainsOn(run);
      await order(run, "pause");
      const { step } = await run.event("paused");
      await disk.fill();
      await order(run, "checkpoint");
      await run.event("warning", ({ message }) => message.endsWith("safetensors: ENOSPC"));
      await disk.free();
      const asked = async (): Promise<number> => {
        await order(run, "checkpoint");
        return (await run.event("checkpoint")).step;
      };
      expect(when === "a checkpoint is asked for" ? await asked() : step).toBe(step);
      run.process.kill("SIGINT");
      expect((await run.finished).code).toBe(0);
      expect((await run.event("checkpoint")).step).toBe(step);
      expect((await checkpointsIn(disk.folder)).size).toBe(1);
    },
  );

  test("is full when the first worker joins: its arithmetic is in the manifest once there is room", async () => {
    const disk = await SmallDisk.mount(room);
    const [, ...rest] = trainIn(disk.folder);
    const run = lockstep(["coordinator", ...rest]);
    const { url } = await run.event("listening");
    await disk.fill();
    worker([url]);
    await run.event("warning", ({ message }) => message.endsWith("manifest.json: ENOSPC"));
    await trainsOn(run);
    await disk.free();
    await expectUndisturbed(run, disk.folder);
    const manifest = JSON.parse(await readFile(join(disk.folder, "run", "manifest.json"), "utf8")) as Manifest;
    expect(manifest.fingerprint).toMatch(/^[0-9a-f]{8}/);
  });

  test("is read-only when a run is to start", async () => {
    const disk = await SmallDisk.mount(room);
    expect(disk.makeReadOnly()).toBe(true);
    await expectRefusal(lockstep(trainIn(disk.folder)).finished, join(disk.folder, "run"), "EROFS");
    const missing = join(disk.folder, "not", "there");
    await expectRefusal(lockstep(trainIn(missing)).finished, join(disk.folder, "not"), "EROFS");
  });
});

const noFullLog = existsSync(fullLog) ? undefined : `no ${fullLog}`;

test(
  `a log on a full disk does not end the training${because(noFullLog)}`,
  { skip: noFullLog !== undefined },
  async () => {
    const runs = await temporaryFolder();
    const main = fileURLToPath(new URL("../../coordinator/cli/main.ts", import.meta.url));
    const log = openSync(fullLog, "w");
    const run = spawn(process.execPath, [main, ...trainIn(runs)], { stdio: ["ignore", log, "pipe"] });
    onTestFinished(() => void run.kill("SIGKILL"));
    const [said, [code]] = await Promise.all([text(run.stderr!), once(run, "close")]);
    expect(said).toBe("warning: cannot write to the standard output: ENOSPC [DISK_FAILED]\n");
    expect(code).toBe(1);
    expect(await figuresIn(runs)).toEqual(undisturbed.figures);
    expect(await readdir(join(runs, "run"))).toContain("model.onnx");
  },
);

/** The process ends with one error about this path, a way out, and no stack. */
async function expectRefusal(process: Promise<Finished>, path: string, code: string): Promise<void> {
  const { code: exit, error, stderr } = await process;
  const [said, hint, ...others] = error.trimEnd().split("\n");
  expect(said).toMatch(new RegExp(`^error: cannot use ${path}.*: ${code} \\[DISK_FAILED\\]$`));
  expect(hint).toMatch(/^ {2}what to do: .*room.*written.*--resume/);
  expect(others).toEqual([]);
  expect(stderr).toBe("");
  expect(exit).toBe(1);
}

const faults: readonly { what: string; fault: Fault; says: RegExp; left?: "whole ones" }[] = [
  { what: "syncing a file", fault: { call: "fsync", error: "EIO" }, says: /step-\d{8}\.safetensors: EIO$/ },
  {
    what: "syncing the folder",
    fault: { call: "fsync", error: "EIO", path: "run/checkpoints" },
    says: /step-\d{8}\.safetensors: EIO$/,
    left: "whole ones",
  },
  { what: "renaming", fault: { call: "/^rename", error: "EDQUOT" }, says: /step-\d{8}\.safetensors: EDQUOT$/ },
];

describe(`a disk under strace${because(cannotInject)}`, { skip: cannotInject !== undefined }, () => {
  test.each(faults)("fails at $what for a while", async ({ fault, says, left }) => {
    const runs = await temporaryFolder();
    const run = lockstep(trainIn(runs));
    const path = fault.path === undefined ? {} : { path: join(runs, fault.path) };
    const breakDisk: Break = () => frozen(run, () => inject(run.process.pid!, { ...fault, ...path }));
    await survives(run, runs, breakDisk, [says], left);
  });

  test("fails at syncing metrics until everything is killed: what they lack is said", async () => {
    const runs = await temporaryFolder();
    const killed = lockstep(trainIn(runs));
    await killed.event("checkpoint", ({ step }) => step >= 30);
    await frozen(killed, () => inject(killed.process.pid!, { call: "fdatasync", error: "EIO" }));
    await killed.event("warning");
    // What follows may take longer than the rest of the run.
    await order(killed, "pause");
    await killed.event("paused");
    const kill = async (): Promise<boolean> => {
      // Between writing and taking back what cannot be synced nothing is lacking.
      const [newest] = (await checkpointsOf(runs).list()).toReversed();
      if ((await stepLinesIn(runs)) >= newest!.step) return false;
      killed.killAll();
      return true;
    };
    while (!(await frozen(killed, kill))) await delay(10);
    await killed.finished;
    const again = resume(runs);
    const { code, message } = await again.event("warning");
    expect(code).toBe("DISK_FAILED");
    const [, lacking, of] = /^metrics\.jsonl lacks the lines of (\d+) of (\d+) steps$/.exec(message)!.map(Number);
    expect(of).toBe((await again.event("listening")).resumedAt);
    const { parametersSha256, steps } = await again.result();
    expect(parametersSha256).toBe(undisturbed.result.parametersSha256);
    expect(await stepLinesIn(runs)).toBe(steps - lacking!);
  });
});

test(
  `a folder without permission to write is named${because(cannotDrop)}`,
  { skip: cannotDrop !== undefined },
  async () => {
    const folder = await temporaryFolder();
    await chmod(folder, 0o555);
    await expectRefusal(unprivileged(trainIn(folder)), join(folder, "run"), "EACCES");
  },
);
