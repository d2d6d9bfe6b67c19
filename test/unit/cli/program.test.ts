/** The command line from outside: help with examples, suggestions, exit codes, messages, and the config that init writes. */
import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { template } from "../../../coordinator/cli/init.ts";
import { configSchema } from "../../../coordinator/config/schema.ts";
import { augmentForms, dataForms } from "../../../coordinator/config/data.ts";
import { layerForms } from "../../../coordinator/config/model.ts";
import { buildProgram } from "../../../coordinator/cli/program.ts";
import { reportError } from "../../../coordinator/cli/report-error.ts";
import { checkNodeVersion } from "../../../coordinator/node-version.ts";
import { LockstepError } from "../../../shared/errors.ts";
import { refusal } from "../../support/errors.ts";
import { configOf, configFolder } from "../../support/config.ts";

const main = fileURLToPath(new URL("../../../coordinator/cli/main.ts", import.meta.url));

/** Runs the command in a folder; resolves however it ends. */
const lockstep = (words: string[], cwd = configFolder()): Promise<{ code: unknown; stdout: string; stderr: string }> =>
  new Promise((resolve) => {
    execFile(process.execPath, [main, ...words], { cwd }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : error.code, stdout, stderr }),
    );
  });

describe("help", () => {
  it("has examples of every command, each a command there is", () => {
    const commands = buildProgram().commands;
    expect(commands.map((command) => command.name())).toEqual([
      "train",
      "coordinator",
      "worker",
      "evaluate",
      "predict",
      "scale",
      "dashboard",
      "init",
      "token",
      "health",
      "doctor",
    ]);
    for (const command of commands) {
      let text = "";
      command.configureOutput({ writeOut: (part) => (text += part) });
      command.outputHelp();
      const examples = text.split("Examples:\n")[1] ?? "";
      expect(examples.match(new RegExp(`^  lockstep ${command.name()}`, "gm"))?.length ?? 0).toBeGreaterThan(0);
    }
  });

  it("shows defaults that are the config's", () => {
    const { batch, shards, epochs, seed, workers, threads, host, port, runs, maxConnections } = {
      ...configOf(""),
      runs: "runs",
    };
    const options = buildProgram().commands.find((command) => command.name() === "train")!.options;
    const shown = {
      batch,
      shards,
      epochs,
      seed,
      workers,
      threads,
      host,
      port,
      runs,
      "max-connections": maxConnections,
    };
    for (const [name, value] of Object.entries(shown))
      expect(options.find((option) => option.long === `--${name}`)?.description).toMatch(new RegExp(`\\(${value}\\)$`));
  });
});

describe("the process", () => {
  it("ends with 2 and a suggestion for a misspelt flag or command", async () => {
    const [flag, command] = await Promise.all([lockstep(["train", "--epoch", "3"]), lockstep(["trian"])]);
    expect(flag).toMatchObject({ code: 2, stdout: "", stderr: expect.stringContaining("Did you mean --epochs?") });
    expect(command).toMatchObject({ code: 2, stdout: "", stderr: expect.stringContaining("Did you mean train?") });
  });

  it("ends with 2 and no stack for a wrong value, and leaves no run behind", async () => {
    const folder = configFolder();
    const { code, stdout, stderr } = await lockstep(["train", "--batch", "0"], folder);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(
      /^error: --batch: found 0, expected a whole number of at least 1 \[CONFIG_INVALID\]\n {2}what to do: .+\n$/,
    );
    expect(() => readFileSync(join(folder, "runs"))).toThrow("ENOENT");
  });

  it.each([
    ["a tab", "a\tb", String.raw`"a\tb"`],
    ["300 characters", "n".repeat(300), `"${"n".repeat(59)}…`],
    ["none", "", '""'],
  ])("ends with 2 where a worker's name has %s, and connects to nobody", async (_, name, found) => {
    const { code, stdout, stderr } = await lockstep(["worker", "ws://127.0.0.1:9", "--name", name]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(/ \[CONFIG_INVALID\]\n {2}what to do: .+\n$/);
    expect(stderr).toContain(`error: --name: found ${found}, expected one line of 1 to 200 characters, without tabs [`);
  });

  it("ends with 1 where a run is missing", async () => {
    expect(await lockstep(["evaluate", "nothing"])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("[RUN_MISSING]"),
    });
  });

  it("init writes a config that is the defaults, and never overwrites one", async () => {
    const folder = configFolder();
    expect(await lockstep(["init", "mine.yaml"], folder)).toMatchObject({ code: 0 });
    expect(readFileSync(join(folder, "mine.yaml"), "utf8")).toBe(template);
    writeFileSync(join(folder, "mine.yaml"), "precious");
    expect(await lockstep(["init", "mine.yaml"], folder)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("mine.yaml exists"),
    });
    expect(readFileSync(join(folder, "mine.yaml"), "utf8")).toBe("precious");
  });
});

it("init makes the folders of its file, and prints a command that is typed as it stands", async () => {
  const folder = configFolder();
  expect(await lockstep(["init", "my jobs/wide.yaml"], folder)).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^wrote my jobs\/wide\.yaml; train with it: .* train 'my jobs\/wide\.yaml'\n$/),
  });
  expect(readFileSync(join(folder, "my jobs", "wide.yaml"), "utf8")).toBe(template);
});

it("a folder that is removed behind the shell is told", async () => {
  const folder = configFolder();
  const gone = `cd "${folder}" && rmdir "${folder}" && exec "${process.execPath}" "${main}" train`;
  const { code, stdout, stderr } = await new Promise<{ code: unknown; stdout: string; stderr: string }>((resolve) => {
    execFile("sh", ["-c", gone], (error, out, err) => resolve({ code: error?.code, stdout: out, stderr: err }));
  });
  expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
  expect(stderr).toMatch(
    /^error: the folder that this was started in is not there any more \[DISK_FAILED\]\n {2}what to do: Change .+\n$/,
  );
});

it("a file where the runs' folder should be is told, by the dashboard and the doctor", async () => {
  const folder = configFolder();
  writeFileSync(join(folder, "runs"), "");
  const [shown, checked] = await Promise.all([
    lockstep(["dashboard", "--port", "0"], folder),
    lockstep(["doctor"], folder),
  ]);
  expect(shown).toMatchObject({
    code: 1,
    stdout: "",
    stderr: expect.stringContaining("runs is no folder [RUN_MISSING]"),
  });
  expect(checked).toMatchObject({ code: 1, stdout: expect.stringMatching(/^failure +disk .*runs: not a folder; /m) });
});

it("a config that comes through a pipe is read once, and its paths from where the command is started", async () => {
  const folder = configFolder();
  writeFileSync(join(folder, "two.csv"), "y,a\n0,1\n1,2\n0,3\n1,4\n");
  const yaml =
    "{name: piped, epochs: 1, batch: 4, shards: 1, workers: 1, data: {csv: {train: two.csv, target: y, classes: 2}}}";
  const command = `echo '${yaml}' | "${process.execPath}" "${main}" train /dev/stdin`;
  const said = await new Promise<string>((resolve) => {
    execFile("sh", ["-c", command], { cwd: folder }, (_, out, err) => resolve(out + err));
  });
  expect(said).toMatch(/^data: 4 training samples, [^]*^runs\/piped: [^]*^parameters sha256 /m);
}, 30_000);

it("--resume and --continue exclude one another", async () => {
  expect(await lockstep(["train", "--resume", "a", "--continue", "--name", "b"])).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/^error: --continue: --resume stands beside it.* \[CONFIG_INVALID\]$/m),
  });
});

describe("init's config", () => {
  it("holds the defaults", () => {
    const { runs: _written, ...config } = configOf(template);
    const { runs: _default, ...defaults } = configOf("");
    expect(config).toEqual(defaults);
  });

  it("names every option", () => {
    const { model } = configOf("");
    for (const key of [...Object.keys(configSchema.shape), ...Object.keys(model)])
      expect(template).toMatch(new RegExp(`^#? *${key}:`, "m"));
  });

  it.each([
    ["data", dataForms],
    ["layers", layerForms],
    ["augmentations", augmentForms],
  ])("names all kinds of %s with their options", (_, forms) => {
    // What TypeScript alone can give stands in no file.
    const { custom: _custom, ...kinds } = forms as Record<string, object>;
    for (const [kind, options] of Object.entries(kinds))
      for (const word of [kind, ...Object.keys(options)])
        expect(template, `${kind}: ${word}`).toMatch(new RegExp(`\\b${word}\\b`));
  });

  const commented = (pattern: RegExp): string[] => [...template.matchAll(pattern)].map(([line]) => line);

  it.each(commented(/^# data: .*$/gm))("holds %j, which is right when the mark is removed", (line) => {
    expect(() => configOf(template.replace("data: mnist\n", "").replace(line, line.slice(2)))).not.toThrow();
  });

  it.each(commented(/^ {4}# - .*$/gm))("holds %j, which is right when the mark is removed", (line) => {
    expect(() => configOf(template.replace(line, line.replace("# ", "")))).not.toThrow();
  });

  it("holds only comments that are right when the mark is removed", () => {
    const variants = [
      template
        .replace(/# data:\n(# {3}.*\n)+/, (block) => block.replaceAll(/^# /gm, ""))
        .replace("data: mnist\n", "")
        .replace("- dense: 10", "- dense: 3"),
      template.replace("  loss: crossEntropy\n  # loss", "  loss"),
      template.replace("  # weights:", "  weights:"),
      ...["validation", "augment", "dataMemory"].map((key) => template.replace(`# ${key}:`, `${key}:`)),
      template.replace("# name:", "name:"),
      template.replace("# tokenFile:", "tokenFile:"),
      template.replace("# tls:", "tls:"),
    ];
    for (const variant of variants) {
      expect(variant).not.toBe(template);
      expect(() => configOf(variant)).not.toThrow();
    }
  });
});

describe("errors", () => {
  const told = (error: unknown): { code: number; text: string } => {
    let text = "";
    return { code: reportError(error, { write: (part) => (text += part) }), text };
  };

  it("of a person have a code and a hint, and no stack", () => {
    const error = new LockstepError("PORT_IN_USE", "port 7000 is taken", "Choose another with --port.");
    expect(told(error)).toEqual({
      code: 1,
      text: "error: port 7000 is taken [PORT_IN_USE]\n  what to do: Choose another with --port.\n",
    });
    expect(told(new LockstepError("RUN_LOCKED", "the run is in use")).text).toBe(
      "error: the run is in use [RUN_LOCKED]\n",
    );
    expect(told(new LockstepError("RUN_MISMATCH", "no")).code).toBe(2);
  });

  it("of Lockstep keep their stack and say so", () => {
    const { code, text } = told(new TypeError("x is not a function"));
    expect(code).toBe(1);
    expect(text).toMatch(/TypeError: x is not a function\n {4}at [^]*This is a defect of Lockstep/);
  });
});

describe("the version check", () => {
  it.each(["18.20.1", "20.11.0", "23.11.1"])("refuses Node %s and says what to do", (version) => {
    expect(refusal(() => checkNodeVersion(version))).toMatchObject({
      code: "NODE_TOO_OLD",
      message: `Lockstep needs Node 24 or newer, this is Node ${version}`,
      hint: expect.stringContaining("npx lockstep"),
    });
  });

  it.each(["24.0.0", "26.1.0", "100.0.0"])("accepts Node %s", (version) => {
    expect(() => checkNodeVersion(version)).not.toThrow();
  });
});
