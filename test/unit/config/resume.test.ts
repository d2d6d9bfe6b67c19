/** What `--resume` may change of a run and what it may not. */
import { mkdirSync, renameSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { plannedRun } from "../../../coordinator/cli/session.ts";
import type { RunConfig } from "../../../coordinator/config/config.ts";
import { configFromObject, written, type TrainConfig } from "../../../coordinator/config/resolve.ts";
import { configOfRun, resumedConfig, resumedFromObject } from "../../../coordinator/config/resume.ts";
import { readConfigFile } from "../../../coordinator/config/file.ts";
import type { ConfigFlags } from "../../../coordinator/config/flags.ts";
import { findRun, latestRun, type FoundRun } from "../../../coordinator/run-folder/find.ts";
import { LockstepError } from "../../../shared/errors.ts";
import { configFolder, configFromFile } from "../../support/config.ts";
import { refusal } from "../../support/errors.ts";
import { exampleManifest } from "../../support/manifest.ts";

/** A run folder as a run leaves it, started with these flags. */
function runWith(flags: ConfigFlags, runs = configFolder(), name = "first"): FoundRun {
  return keep(configFromFile(undefined, { ...flags, runs, name }));
}

/** The same, of a run that TypeScript started. */
const runOf = (config: TrainConfig): FoundRun =>
  keep(configFromObject({ ...config, runs: configFolder(), name: "first" }));

function keep(config: RunConfig): FoundRun {
  const { runs, name } = config;
  const path = join(runs, name);
  mkdirSync(join(path, "checkpoints"), { recursive: true });
  writeFileSync(join(path, "config.json"), JSON.stringify(config));
  writeFileSync(join(path, "manifest.json"), JSON.stringify(exampleManifest));
  return { runs, name, path };
}

const refused = async (action: Promise<unknown>): Promise<LockstepError> => {
  const error: unknown = await action.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof LockstepError) return error;
  throw new Error("expected an error");
};

it("a run whose folder was given a name that none can have is told which folder that is", async () => {
  const { runs, path } = runWith({});
  renameSync(path, join(runs, "my run"));
  const { message } = await refused(configOfRun(findRun("my run", runs)));
  expect(message).toMatch(new RegExp(`^the folder ${join(runs, "my run")}: name: found "my run", expected letters`));
});

describe("a resumed run", () => {
  it("goes on with its own config, not with the defaults", async () => {
    const run = runWith({ seed: "7", layers: "784,32,10", learningRate: "0.3" });
    expect(await resumedConfig(run, written({}), {})).toMatchObject({
      name: "first",
      seed: 7,
      model: { inputWidth: 784, layers: [{ units: 32 }, { units: 10 }] },
      optimizer: { kind: "sgd", learningRate: 0.3, momentum: 0.9 },
    });
  });

  it.each([
    [{ workers: "5" }, { workers: 5 }],
    [{ threads: "2" }, { threads: 2 }],
    [
      { host: "localhost", port: "7001" },
      { host: "localhost", port: 7001 },
    ],
    [{ epochs: "21" }, { epochs: 21 }],
    [{ exact: "off" }, { exact: false }],
    [{ tokenFile: "/join.token" }, { tokenFile: "/join.token" }],
    [
      { tlsCert: "/a.pem", tlsKey: "/a.key", maxConnections: "9" },
      { tls: { cert: "/a.pem", key: "/a.key" }, maxConnections: 9 },
    ],
    [{ data: "/elsewhere" }, { data: { kind: "idx", path: "/elsewhere" } }],
    [{ seed: "1", layers: "784,64,10", learningRate: "0.05" }, { seed: 1 }],
  ] satisfies [ConfigFlags, object][])("may change %j", async (flags, config) => {
    expect(await resumedConfig(runWith({}), written({}), flags)).toMatchObject(config);
  });

  it.each([
    [{ seed: "2" }, "--seed: 1 in the run, not 2"],
    [{ batch: "64" }, "--batch: 128 in the run, not 64"],
    [{ shards: "4" }, "--shards: 8 in the run, not 4"],
    [{ epochs: "19" }, "--epochs: 20 in the run, not 19"],
    [{ learningRate: "0.2" }, "--learning-rate: optimizer.learningRate: 0.05 in the run, not 0.2"],
    [{ optimizer: "adam" }, `--optimizer: optimizer.kind: "sgd" in the run, not "adam"`],
    [{ layers: "784,32,10" }, "--layers: model.layers: "],
  ] satisfies [ConfigFlags, string][])("may not change %j", async (flags, line) => {
    const error = await refused(resumedConfig(runWith({}), written({}), flags));
    expect(error.code).toBe("RUN_MISMATCH");
    expect(error.message).toContain(line);
  });

  it("is told all that differs, other data too, before that is read", async () => {
    const run = runWith({ data: "/digits" });
    const { message } = await refused(resumedConfig(run, written({}), { epochs: "5", data: "/nowhere/d.csv" }));
    expect(message).toContain('--data: data.kind: "idx" in the run, not "csv"');
    expect(message).toContain("--epochs: 20 in the run, not 5");
    expect(await resumedConfig(run, written({}), { data: "mnist" })).toMatchObject({ data: { kind: "mnist" } });
  });

  it("cannot become exact again", async () => {
    const error = await refused(resumedConfig(runWith({ exact: "off" }), written({}), { exact: "on" }));
    expect(error.message).toContain("--exact: false in the run, not true");
  });

  it("names the line of a file that asks for something else", async () => {
    const run = runWith({});
    const file = join(run.runs, "config.yaml");
    writeFileSync(file, "workers: 4\nseed: 3\nmodel:\n  loss: {crossEntropy: {labelSmoothing: 0.1}}\n");
    const { message } = await refused(resumedConfig(run, readConfigFile(file), {}));
    expect(message).toContain("config.yaml:2: seed: 1 in the run, not 3");
    expect(message).toContain("config.yaml:4: model.loss.labelSmoothing: not set in the run, not 0.1");
    expect(message).not.toContain("workers");
  });

  it("may evaluate at other epochs only where nothing steers by it", async () => {
    const every = (config: TrainConfig): Promise<unknown> =>
      resumedFromObject(runOf(config), { ...config, evaluateEvery: 3 });
    expect(await every({})).toMatchObject({ evaluateEvery: 3 });
    expect(await every({ schedule: { kind: "plateau" }, monitor: "loss" })).toMatchObject({ evaluateEvery: 3 });
    const watched: [TrainConfig, string][] = [
      [{ schedule: { kind: "plateau" } }, "the schedule plateau"],
      [{ stopEarly: { patience: 2, threshold: 0 }, monitor: "testAccuracy" }, "stopEarly"],
      [{ checkpoint: { best: true } }, "checkpoint.best"],
    ];
    for (const [config, watcher] of watched) {
      const { code, message } = await refused(every(config));
      expect(code).toBe("RUN_MISMATCH");
      expect(message).toContain(`evaluateEvery: 1 in the run, not 3, as ${watcher} decides by every evaluation`);
    }
  });

  it("has the metrics that its model was kept with, and may have others where it is compiled anew", async () => {
    const more: TrainConfig = { metrics: [{ kind: "confusion" }] };
    expect(await resumedFromObject(runOf({}), more)).toMatchObject(more);
    const graphs = {} as NonNullable<NonNullable<TrainConfig["model"]>["graphs"]>;
    const run = runOf({ model: { layers: [{ kind: "onnx", file: "/a.onnx" }], graphs } });
    expect((await refused(resumedFromObject(run, more))).message).toContain(
      'metrics: not set in the run, not [{"kind":"confusion"}], as its model is kept with what computes them',
    );
    expect(await resumedFromObject(run, { epochs: 30 })).toMatchObject({ epochs: 30, model: { graphs } });
  });

  it("keeps to the same rules from TypeScript", async () => {
    expect(await resumedFromObject(runWith({}), { name: "first", epochs: 22 })).toMatchObject({ epochs: 22 });
    expect((await refused(resumedFromObject(runWith({}), { batch: 1 }))).code).toBe("RUN_MISMATCH");
  });

  it("that listened to other machines, with its token in the environment, can be read without it, but not go on", async () => {
    vi.stubEnv("LOCKSTEP_TOKEN", "a secret of some length");
    const run = runWith({ host: "0.0.0.0" });
    vi.unstubAllEnvs();
    expect((await configOfRun(run)).host).toBe("0.0.0.0");
    expect((await refused(resumedConfig(run, written({}), {}))).code).toBe("BIND_REFUSED");
    expect((await resumedConfig(run, written({}), { host: "127.0.0.1" })).host).toBe("127.0.0.1");
  });

  it("names a config.json that was changed by hand", async () => {
    const run = runWith({});
    writeFileSync(join(run.path, "config.json"), `{"batch": "x"}`);
    const error = await refused(resumedConfig(run, written({}), {}));
    expect(error.message).toContain(`config.json: batch: found "x"`);
  });
});

describe("finding a run", () => {
  it("goes by name, by folder, or by the last checkpoint written", () => {
    const runs = configFolder();
    const [first, second] = [runWith({}, runs), runWith({}, runs, "second")];
    utimesSync(join(first.path, "checkpoints"), 2000, 2000);
    utimesSync(join(second.path, "checkpoints"), 1000, 1000);
    expect(findRun("second", runs)).toEqual(second);
    expect(findRun(second.path, "nowhere")).toEqual(second);
    expect(latestRun(runs)).toEqual(first);
  });

  it("names the runs there are", () => {
    const { runs } = runWith({});
    const error = refusal(() => findRun("frist", runs));
    expect(error.code).toBe("RUN_MISSING");
    expect(error.message).toContain("did you mean first?");
    expect(error.hint).toContain("first");
    expect(refusal(() => latestRun(join(runs, "empty"))).code).toBe("RUN_MISSING");
  });

  it("are not said to be none where their folder cannot be read", () => {
    const file = join(configFolder(), "runs");
    writeFileSync(file, "");
    for (const find of [() => findRun("first", file), () => latestRun(file)])
      expect(refusal(find)).toMatchObject({
        code: "DISK_FAILED",
        message: `cannot read the runs in ${file}: ENOTDIR`,
        hint: "Check that it is a folder, and that this user may read it.",
      });
  });

  it("refuses an empty name, also where the folder of runs is a run's itself", () => {
    const { path } = runWith({});
    expect(refusal(() => findRun("", path))).toMatchObject({
      code: "CONFIG_INVALID",
      message: `the name of the run in ${path} is empty`,
    });
  });

  it("refuses to go on with a run under another name", async () => {
    const { runs } = runWith({});
    expect(await refused(plannedRun(undefined, { runs, resume: "first", name: "second" }))).toMatchObject({
      code: "CONFIG_INVALID",
      message: "--name: the run that goes on is first, not second",
    });
    for (const resume of ["first", true, join(runs, "first")] as const)
      expect((await plannedRun(undefined, { runs, resume, name: "first" })).config.name).toBe("first");
  });
});
