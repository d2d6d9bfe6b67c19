/** Files, flags, TypeScript: which wins, how all problems are told at once, and where each was written. */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { crossEntropy, dense, dropout, relu, sequential, softmax } from "../../../shared/nn/builders.ts";
import { adamw, sgd } from "../../../shared/optim/builders.ts";
import { configFromObject } from "../../../coordinator/config/resolve.ts";
import type { ConfigFlags } from "../../../coordinator/config/flags.ts";
import { editDistance, nearest } from "../../../shared/suggest.ts";
import { withLayers } from "../../../coordinator/model/model.ts";
import { train } from "../../../coordinator/train.ts";
import type { Dataset } from "../../../shared/data/dataset.ts";
import type { TargetSpec } from "../../../shared/data/target.ts";
import { LockstepError } from "../../../shared/errors.ts";
import { configOf, configRefusal, configFolder, configFromFile } from "../../support/config.ts";

const withFlags = (flags: ConfigFlags, yaml = "") => {
  const folder = configFolder();
  writeFileSync(join(folder, "config.yaml"), yaml);
  return configFromFile(join(folder, "config.yaml"), { runs: join(folder, "runs"), ...flags });
};

describe("files", () => {
  it("lists all problems at once, in the order of their lines, flags first", () => {
    const yaml =
      "sed: 3\nbatch: many\nmodel:\n  layers:\n    - dense: {units: x, activatoin: relu}\n  los: crossEntropy";
    expect(configRefusal(() => withFlags({ epochs: "x" }, yaml)).message).toBe(`6 problems in the config
  --epochs: found "x", expected a whole number of at least 1
  config.yaml:1: sed: unknown key; did you mean seed?
  config.yaml:2: batch: found "many", expected a whole number of at least 1
  config.yaml:5: model.layers[0].dense.activatoin: unknown key; did you mean activation?
  config.yaml:5: model.layers[0].dense.units: found "x", expected a whole number of at least 1
  config.yaml:6: model.los: unknown key; did you mean loss?`);
  });

  it.each([
    ["model: [\n", "config.yaml:2: "],
    ["seed: 1\nseed: 2\n", "config.yaml:2: seed stands here once more"],
    ["model:\n  loss: crossEntropy\n  loss: meanSquaredError\n", "config.yaml:3: loss stands here once more"],
    ["seed: 1\n---\nseed: 2\n", "config.yaml:2: a second document begins here, and a config is one"],
    ["just text", `config.yaml:1: the config: found "just text", expected a map of options`],
    ["- 1", "config.yaml:1: the config: found [1], expected a map of options"],
    ["batch: 8\nseed: *none", "config.yaml:2: *none stands for nothing: no &none stands before it"],
    ["batch: 8\nepochs: &a [*a]", "config.yaml:2: *a stands for nothing: it is part of that itself"],
    ["model:\n  layers: &a [{ residual: *a }]", "config.yaml:2: *a stands for nothing: it is part of that itself"],
  ])("names the line of %j", (yaml, message) => {
    const error = configRefusal(() => configOf(yaml));
    expect(error).toMatchObject({ code: "CONFIG_INVALID", message: expect.stringContaining(message) });
  });

  it("that are not UTF-8 are told with the line where they begin not to be", () => {
    const folder = configFolder();
    const path = join(folder, "c.yaml");
    const refused = (bytes: Uint8Array): string => {
      writeFileSync(path, bytes);
      return configRefusal(() => configFromFile(path, {})).message;
    };
    const latin1 = Buffer.from("seed: 1\n# gr\u00fcn\nruns: sch\u00f6n\n", "latin1");
    expect(refused(latin1)).toBe(`${path}:2: the text is not UTF-8`);
    const utf16 = Buffer.from("\ufeffseed: 1\nbatch: 8\n", "utf16le");
    expect(refused(utf16)).toBe(`${path}:1: the text is not UTF-8`);
  });

  it.each([
    [
      "seed: 99999999999999999999",
      "found 100000000000000000000, expected a whole number of at least 0, 9007199254740991",
    ],
    ["epochs: .inf", "found Infinity, expected a whole number of at least 1, 9007199254740991 at most"],
    ["workers: 9e99", "found 9e+99, expected a whole number from 1 to 1024 ["],
    ["optimizer: {sgd: {learningRate: 1e999}}", "found Infinity, expected a number above 0, 1.7976931348623157e+308"],
    [
      "schedule: {constant: {warmUp: .inf}}",
      "found Infinity, expected a number of at least 0, 1.7976931348623157e+308",
    ],
  ])("say of %j up to where a number goes", (yaml, message) => {
    expect(`${configRefusal(() => configOf(yaml)).message} [`).toContain(message);
  });

  it("warn of nothing besides the error", () => {
    const warn = vi.spyOn(process, "emitWarning");
    onTestFinished(() => warn.mockRestore());
    expect(configRefusal(() => configOf("? [a, b]\n: 3\n")).message).toContain("[ a, b ]: unknown key");
    expect(warn).not.toHaveBeenCalled();
  });

  it("that are folders are told as such", () => {
    expect(configRefusal(() => configFromFile(configFolder(), {}))).toMatchObject({
      message: expect.stringMatching(/: a folder, not a file$/),
      hint: "Name the config file in it.",
    });
  });

  it("names a file that is not there", () => {
    expect(configRefusal(() => configFromFile("nowhere/config.yaml", {}))).toMatchObject({
      code: "CONFIG_INVALID",
      message: "config.yaml: no such file",
    });
  });

  it("sees the paths of data from the config's own folder", () => {
    const folder = configFolder();
    writeFileSync(join(folder, "c.yaml"), "data: {csv: {train: a.csv, test: sub/b.csv, target: 0, classes: 2}}");
    expect(configFromFile(join(folder, "c.yaml"), {}).data).toMatchObject({
      train: join(folder, "a.csv"),
      test: join(folder, "sub/b.csv"),
    });
  });

  it("gives labels as many outputs as there are classes, and values one", () => {
    expect(configOf("data: {csv: {train: a.csv, target: 0, classes: 3}}").model.layers.at(-1)).toEqual({
      kind: "dense",
      units: 3,
    });
    expect(configOf("data: {csv: {train: a.csv, target: 0}}").model.layers.at(-1)).toEqual({ kind: "dense", units: 1 });
    // Known once these are read.
    for (const data of ["{images: a}", "{npy: {features: a.npy, targets: b.npy}}"])
      expect(configOf(`data: ${data}`).model.layers).toEqual([]);
  });

  it("gets the usual layers for what the data turns out to hold, and keeps its own", () => {
    const read = (target: TargetSpec) => ({ target }) as Dataset;
    const usual = (units: number): object[] => [
      { units: 64, activation: "relu" },
      { kind: "dense", units },
    ];
    const images = configOf("data: {images: a}");
    expect(withLayers(images, read({ kind: "class", classes: 7 })).model.layers).toMatchObject(usual(7));
    expect(withLayers(images, read({ kind: "values", width: 3 })).model.layers).toMatchObject(usual(3));
    const own = configOf("data: {images: a}\nmodel: {layers: [dense: 5]}");
    expect(withLayers(own, read({ kind: "class", classes: 7 }))).toBe(own);
  });
});

describe("runs", () => {
  it("is the folder of run folders, seen from where lockstep is started", () => {
    expect(configFromFile(undefined, {}).runs).toBe("runs");
    expect(withFlags({ runs: "../elsewhere" }).runs).toBe("../elsewhere");
    expect(configRefusal(() => withFlags({ runs: "" })).message).toBe(
      `--runs: found "", expected the path of a folder`,
    );
  });
});

describe("names", () => {
  it("picks a fresh one after the data", () => {
    const runs = configFolder();
    for (const name of ["mnist-1", "mnist-7", "mnist-old", "other-9"]) mkdirSync(join(runs, name));
    expect(configFromFile(undefined, { runs }).name).toBe("mnist-8");
    expect(configFromFile(undefined, { runs, data: "My Data.csv" }).name).toBe("My-Data-1");
    expect(configFromFile(undefined, { runs, data: "digits/letters" }).name).toBe("letters-1");
  });
});

describe("flags", () => {
  it("refuse as --data a file of another kind than CSV, or nothing", () => {
    const file = join(configFolder(), "arrays.npz");
    writeFileSync(file, "");
    for (const data of [file, ""])
      expect(configRefusal(() => withFlags({ data }))).toMatchObject({
        code: "CONFIG_INVALID",
        message: `--data: found ${JSON.stringify(data)}, expected mnist, a folder with the four MNIST-named IDX files, or FILE.csv; what data of other kinds is, a config says`,
        hint: expect.stringContaining("lockstep init"),
      });
  });

  it.each([
    [{ batch: "64" }, { batch: 64 }],
    [{ shards: "4" }, { shards: 4 }],
    [{ workers: "3" }, { workers: 3 }],
    [{ threads: "2" }, { threads: 2 }],
    [{ epochs: "7" }, { epochs: 7 }],
    [{ seed: "0" }, { seed: 0 }],
    [{ port: "7000" }, { port: 7000 }],
    [{ name: "123" }, { name: "123" }],
    [{ exact: "off" }, { exact: false }],
    [
      { host: "0.0.0.0", insecure: true },
      { host: "0.0.0.0", insecure: true },
    ],
    [{ host: "[::1]" }, { host: "::1" }],
    [{ tokenFile: "/join.token" }, { tokenFile: "/join.token" }],
    [{ tokenFile: "join.token" }, { tokenFile: resolve("join.token") }],
    [
      { tlsCert: "/a.pem", tlsKey: "a.key", tlsCa: "/ca.pem" },
      { tls: { cert: "/a.pem", key: resolve("a.key"), ca: "/ca.pem" } },
    ],
    [{ maxConnections: "7" }, { maxConnections: 7 }],
    [{ data: "mnist" }, { data: { kind: "mnist" } }],
    [{ data: "/digits" }, { data: { kind: "idx", path: "/digits" } }],
    [{ data: "/a.csv", layers: "4,8,3" }, { data: { kind: "csv", train: "/a.csv", target: 0, classes: 3 } }],
    [{ learningRate: "0.5" }, { optimizer: { kind: "sgd", learningRate: 0.5, momentum: 0.9 } }],
    [{ momentum: "0" }, { optimizer: { kind: "sgd", learningRate: 0.05, momentum: 0 } }],
    [{ optimizer: "adam", learningRate: "0.01" }, { optimizer: { kind: "adam", learningRate: 0.01 } }],
    [{ schedule: "cosine" }, { schedule: { kind: "cosine", epochs: 20 } }],
    [{ warmUp: "0.5" }, { schedule: { kind: "constant", warmUp: 0.5 } }],
    [{ schedule: "cosine", warmUp: "2" }, { schedule: { kind: "cosine", warmUp: 2 } }],
    [{ stopEarly: "3" }, { stopEarly: { patience: 3, threshold: 0 } }],
    [{ average: "0.99" }, { average: 0.99 }],
    [{ accumulate: "2" }, { accumulate: 2 }],
    [{ audit: "0.1" }, { audit: 0.1 }],
    [{ sharedMemory: "off" }, { sharedMemory: false }],
    [{ tensorboard: true }, { tensorboard: true }],
    [{ weights: "a.safetensors" }, { model: { weights: { file: resolve("a.safetensors") } } }],
  ] satisfies [ConfigFlags, object][])("%j means %j", (flags, config) => {
    expect(withFlags(flags)).toMatchObject(config);
  });

  it("win over the file, and leave the rest of it", () => {
    const yaml =
      "seed: 5\nbatch: 32\noptimizer: {sgd: {learningRate: 0.3, weightDecay: 0.1}}\ndata: {csv: {train: old.csv, target: kind, classes: 2}}";
    expect(withFlags({ batch: "16", learningRate: "0.2", data: "/new.csv" }, yaml)).toMatchObject({
      seed: 5,
      batch: 16,
      optimizer: { kind: "sgd", learningRate: 0.2, weightDecay: 0.1 },
      data: { kind: "csv", train: "/new.csv", target: "kind", classes: 2 },
    });
  });

  it.each([
    ["schedule: {cosine: {final: 0.1}}", { warmUp: "2" }, { schedule: { kind: "cosine", final: 0.1, warmUp: 2 } }],
    ["schedule: {cosine: {final: 0.1}}", { schedule: "cosine" }, { schedule: { kind: "cosine", final: 0.1 } }],
    ["schedule: {step: 3}", { warmUp: "2" }, { schedule: { kind: "step", every: 3, warmUp: 2 } }],
    ["schedule: {exponential: 0.9}", { schedule: "exponential" }, { schedule: { kind: "exponential", factor: 0.9 } }],
    ["optimizer: {adam: {beta1: 0.8}}", { optimizer: "adam" }, { optimizer: { kind: "adam", beta1: 0.8 } }],
    ["stopEarly: {patience: 3, threshold: 0.1}", { stopEarly: "2" }, { stopEarly: { patience: 2, threshold: 0.1 } }],
    [
      "model: {loss: binaryCrossEntropy, layers: [dense: 1]}\ndata: {csv: {train: a.csv, target: 0}}",
      { weights: "/b.safetensors" },
      { model: { loss: { kind: "binaryCrossEntropy" }, weights: { file: "/b.safetensors" } } },
    ],
    [
      "model: {weights: {file: a.safetensors, rename: {a: b}}}",
      { weights: "/b.safetensors" },
      { model: { weights: { file: "/b.safetensors", rename: { a: "b" } } } },
    ],
  ] satisfies [string, ConfigFlags, object][])("change of %j, by %j, what they name", (yaml, flags, config) => {
    expect(withFlags(flags, yaml)).toMatchObject(config);
  });

  it("that name another schedule or optimizer leave nothing of the file's", () => {
    expect(withFlags({ schedule: "constant" }, "schedule: {cosine: {final: 0.1}}").schedule).toEqual({
      kind: "constant",
    });
    const { optimizer } = withFlags({ optimizer: "adam" }, "optimizer: {sgd: {learningRate: 0.3, weightDecay: 0.1}}");
    expect(optimizer).toEqual({ kind: "adam", learningRate: 0.001 });
  });

  it("that name an optimizer mean what a file means that names it", () => {
    for (const kind of ["sgd", "adam"])
      expect(withFlags({ optimizer: kind }, "").optimizer).toEqual(withFlags({}, `optimizer: ${kind}`).optimizer);
    // One that the file has options of keeps them.
    const yaml = "optimizer: {sgd: {learningRate: 0.3}}";
    expect(withFlags({ optimizer: "sgd" }, yaml).optimizer).toEqual(withFlags({}, yaml).optimizer);
  });

  it("don't make up for what cannot be read in the file", () => {
    for (const yaml of ["optimizer: {sgd: 0.3}", "optimizer: [sgd]"])
      expect(configRefusal(() => withFlags({ momentum: "0.5" }, yaml)).message).toMatch(/^config.yaml:1: optimizer/);
    expect(configRefusal(() => withFlags({ warmUp: "1" }, "schedule: {cosine: 3}")).message).toMatch(
      "config.yaml:1: schedule.cosine: found 3, expected a map of options",
    );
  });

  it("--layers makes dense layers with relu between them and remembers the inputs", () => {
    expect(withFlags({ layers: "784,32,16,10" }, "model: {loss: {crossEntropy: {labelSmoothing: 0.1}}}").model).toEqual(
      {
        inputWidth: 784,
        layers: [
          { kind: "dense", units: 32, activation: "relu" },
          { kind: "dense", units: 16, activation: "relu" },
          { kind: "dense", units: 10 },
        ],
        loss: { kind: "crossEntropy", labelSmoothing: 0.1 },
      },
    );
  });

  it.each([
    [{ batch: "x" }, `--batch: found "x", expected a whole number of at least 1`],
    [{ batch: "" }, `--batch: found "", expected a whole number of at least 1`],
    [{ port: "-1" }, "--port: found -1, expected a whole number from 0 to 65535"],
    [{ tlsCert: "/a.pem" }, "--tls-key: tls.key: missing, expected the path of a file"],
    [{ tlsCa: "/ca.pem" }, "--tls-cert: tls.cert: missing, expected the path of a file"],
    [{ tokenFile: "" }, `--token-file: tokenFile: found "", expected the path of a file`],
    [
      { maxConnections: "many" },
      `--max-connections: maxConnections: found "many", expected a whole number from 1 to 65535`,
    ],
    [{ exact: "maybe" }, `--exact: found "maybe", expected on or off`],
    [{ layers: "784" }, `--layers: model.layers: found "784", expected whole numbers joined by commas`],
    [{ layers: "784,x,10" }, `--layers: model.layers: found "784,x,10", expected`],
    [{ layers: "784,0,10" }, `--layers: model.layers: found "784,0,10", expected`],
    [
      { optimizer: "adma" },
      `--optimizer: found "adma", expected one of sgd, adam, adamw, lamb, rmsprop, adagrad; did you mean adam?`,
    ],
    [{ optimizer: "adam", momentum: "0.5" }, "--momentum: optimizer.momentum: unknown key"],
    [{ learningRate: "fast" }, `--learning-rate: optimizer.learningRate: found "fast", expected a number above 0`],
    [{ name: "a b" }, `--name: found "a b", expected letters`],
    [{ schedule: "cosin" }, `--schedule: found "cosin", expected one of`],
    [{ warmUp: "-1" }, "--warm-up: schedule.warmUp: found -1, expected a number of at least 0"],
    [{ stopEarly: "soon" }, `--stop-early: stopEarly.patience: found "soon"`],
    [{ weights: "" }, `--weights: model.weights`],
  ] satisfies [ConfigFlags, string][])("%j is refused", (flags, message) => {
    expect(configRefusal(() => withFlags(flags))).toMatchObject({
      code: "CONFIG_INVALID",
      message: expect.stringContaining(message),
    });
  });

  it("--host needs a join token or --insecure for other machines", () => {
    const asked = { host: "192.0.2.1" };
    expect(configRefusal(() => withFlags(asked))).toMatchObject({
      code: "BIND_REFUSED",
      message: expect.stringContaining("--host: 192.0.2.1"),
      hint: expect.stringMatching(/--token-file.*LOCKSTEP_TOKEN.*--insecure/),
    });
    expect(withFlags({ ...asked, tokenFile: "join.token" })).toMatchObject(asked);
    vi.stubEnv("LOCKSTEP_TOKEN", "a secret of some length");
    onTestFinished(() => void vi.unstubAllEnvs());
    const config = withFlags(asked);
    expect(config).toMatchObject(asked);
    expect(JSON.stringify(config)).not.toContain("secret");
  });

  it("replace single files of the config's TLS, whose paths are seen from its folder", () => {
    const yaml = "tokenFile: t\ntls: {cert: a.pem, key: a.key, ca: ca.pem}";
    const config = withFlags({ tlsKey: "/b.key" }, yaml);
    const folder = dirname(config.runs);
    expect(config).toMatchObject({
      tokenFile: join(folder, "t"),
      tls: { cert: join(folder, "a.pem"), key: "/b.key", ca: join(folder, "ca.pem") },
    });
  });
});

describe("TypeScript", () => {
  it("is told of values that no JSON holds", () => {
    const layers: unknown[] = [];
    layers.push(layers);
    const error = configRefusal(() => configFromObject({ seed: 10n, model: { layers } } as never));
    expect(error.message).toContain("config: seed: found 10n, expected a whole number of at least 0");
    expect(error.message).toContain("config: model.layers[0]: found <ref *1> [ [Circular *1] ], expected one of");
  });

  it("takes what the builders make", () => {
    const config = configFromObject({
      model: sequential(
        [dense(64, { initialiser: "he" }), relu(), dropout(0.1), dense(10), softmax()],
        crossEntropy({ labelSmoothing: 0.1 }),
      ),
      optimizer: adamw({ learningRate: 0.01 }),
      epochs: 2,
    });
    expect(config).toMatchObject({
      model: {
        layers: [
          { kind: "dense", units: 64, initialiser: "he" },
          { kind: "activation", activation: "relu" },
          { kind: "dropout", rate: 0.1 },
          { kind: "dense", units: 10 },
          { kind: "softmax" },
        ],
        loss: { kind: "crossEntropy", labelSmoothing: 0.1 },
      },
      optimizer: { kind: "adamw", learningRate: 0.01 },
      epochs: 2,
      batch: 128,
    });
  });

  it("checks it as a file is checked", () => {
    const error = configRefusal(() =>
      configFromObject({ model: sequential([dense(-1)]), optimizer: sgd({ learningRate: 0 }) }),
    );
    expect(error.message).toBe(`2 problems in the config
  config: model.layers[0].units: found -1, expected a whole number of at least 1
  config: optimizer.learningRate: found 0, expected a number above 0`);
  });

  it("reads a resolved config as itself: that is what config.json holds", () => {
    const config = configFromObject({ data: { kind: "csv", train: "/a.csv", target: "y", classes: 4 }, name: "again" });
    const json: unknown = JSON.parse(JSON.stringify(config));
    expect(configFromObject(json as typeof config)).toEqual(config);
  });
});

describe("suggestions", () => {
  it.each([
    ["", "abc", 3],
    ["relu", "relu", 0],
    ["rleu", "relu", 1],
    ["kitten", "sitting", 3],
    ["ca", "abc", 3],
  ])("%j and %j are %d apart", (left, right, distance) => {
    expect(editDistance(left, right)).toBe(distance);
    expect(editDistance(right, left)).toBe(distance);
  });

  it("are given for slips of the pen only", () => {
    expect(nearest("learning-rate", ["seed", "learningRate"])).toBe("learningRate");
    expect(nearest("epoch", ["epochs", "port"])).toBe("epochs");
    expect(nearest("banana", ["epochs", "port"])).toBeUndefined();
  });
});

describe("train, called from plain JavaScript", () => {
  it.each<[unknown, string, string]>([
    [null, "CONFIG_INVALID", "the config: found null, expected a map of options"],
    [{ data: null }, "CONFIG_INVALID", "data: found null, expected one of mnist, idx"],
    [{ data: {} }, "CONFIG_INVALID", "data: found {}, expected one of mnist, idx"],
    [{ data: "minst" }, "CONFIG_INVALID", 'data: found "minst", expected one of'],
    [{ data: { train: {} } }, "DATA_INVALID", "data.train.sampleShape: found undefined"],
    [{ data: { test: {} } }, "DATA_INVALID", "data.train.sampleShape: found undefined"],
    // The name of data is taken, and the next mistake is told.
    [{ data: "mnist", epochs: "x" }, "CONFIG_INVALID", 'epochs: found "x"'],
  ])("with %j says what is wrong", async (config, code, message) => {
    const error = await train(config as never).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(LockstepError);
    expect(error).toMatchObject({ code, message: expect.stringContaining(message) });
    expect((error as LockstepError).hint).not.toBe("");
  });

  it.each<[unknown, string]>([
    [null, "train: options: found null, expected a map of onEvent, resume, trace, signal"],
    [3, "train: options: found 3"],
    [{ onEvent: "log" }, "train: options.onEvent: found 'log', expected a function"],
    [{ resume: "yes" }, "train: options.resume: found 'yes', expected true or false"],
    [{ trace: 1 }, "train: options.trace: found 1, expected the name of a file, or true"],
    [{ signal: {} }, "train: options.signal: found {}, expected the signal of an AbortController"],
    [
      { onevent: 1 },
      "train: options.onevent: found 1, expected one of onEvent, resume, trace, signal; did you mean onEvent?",
    ],
  ])("with the options %j says what is wrong", async (options, message) => {
    // The config would be refused too: what is wrong with the options is said first.
    const error = await train({ epochs: "x" } as never, options as never).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(LockstepError);
    expect(error).toMatchObject({ code: "CONFIG_INVALID", message: expect.stringContaining(message) });
    expect((error as LockstepError).hint).not.toBe("");
  });
});
