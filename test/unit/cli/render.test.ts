/** What a scripted run looks like: as sentences, as JSON, at each level, on a terminal; and its last lines. */
import { execFileSync } from "node:child_process";
import type { NetworkInterfaceInfo } from "node:os";
import { Writable } from "node:stream";
import { describe, expect, it } from "vitest";
import { bytes, duration, quoted } from "../../../coordinator/cli/format.ts";
import { barLine, rendererFor } from "../../../coordinator/cli/render.ts";
import { endSentence, sentenceOf } from "../../../coordinator/cli/sentences.ts";
import { lastLines, reachableAddresses } from "../../../coordinator/cli/session.ts";
import type { RunEvent, RunResult } from "../../../coordinator/events.ts";
import { openLog } from "../../../shared/log.ts";
import type { LogSettings } from "../../../shared/log.ts";

type StepEvent = Extract<RunEvent, { type: "step" }>;

const step = (number: number): StepEvent => ({
  type: "step",
  step: number,
  steps: 938,
  epoch: 1,
  epochs: 2,
  loss: 0.43219,
  accuracy: 0.8828125,
  learningRate: 0.05,
  samplesPerSecond: 48_780.4,
  secondsLeft: 80,
  workers: 2,
});

const result: RunResult = {
  outcome: "completed",
  steps: 938,
  epochs: 2,
  stoppedEarly: false,
  stepsTaken: 938,
  modelStep: 938,
  testLoss: 0.0812,
  testAccuracy: 0.97614,
  testFigures: {},
  seconds: 12.34,
  samplesPerSecond: 9723.6,
  parametersSha256: "ab".repeat(32),
  folder: "runs/mnist-1",
  models: ["runs/mnist-1/model.onnx", "runs/mnist-1/model.safetensors"],
  audits: 0,
  profile: { compute: 6, reduce: 1, wire: 2, wait: 1, bytesSent: 382_700_000, bytesReceived: 999, bytesShared: 0 },
};

/** Each event with the milliseconds at which it happens. */
const script: readonly (readonly [number, RunEvent])[] = [
  [0, { type: "data", train: 60_000, test: 10_000, sha256: "d7d644fe492b7a62" }],
  [
    10,
    {
      type: "listening",
      url: "ws://127.0.0.1:7000",
      folder: "runs/mnist-1",
      frozen: 0,
      parameters: 50_890,
      steps: 938,
      resumedAt: undefined,
    },
  ],
  [20, { type: "waiting", workers: 1, needed: 2 }],
  [30, { type: "worker-joined", worker: "w1", workers: 2 }],
  [1000, step(1)],
  [5999, step(100)],
  [6000, step(101)],
  [6001, step(102)],
  [7000, { type: "worker-lost", worker: "w1", reason: "the connection closed", reassigned: 4, workers: 1 }],
  [7001, { type: "refused", worker: "w9", code: "VERSION_MISMATCH", message: "it speaks version 0" }],
  [
    8000,
    {
      type: "epoch",
      epoch: 1,
      epochs: 2,
      loss: 0.2827,
      accuracy: 0.9147,
      testLoss: 0.1648,
      testAccuracy: 0.9482,
      testFigures: {},
      seconds: 3.7,
    },
  ],
  [8001, { type: "checkpoint", path: "runs/mnist-1/checkpoints/step-00000469.safetensors", step: 469 }],
  [8002, { type: "warning", code: "DISK_FAILED", message: "the disk is full" }],
  [9000, { type: "finished", result }],
];

async function play(settings: LogSettings, terminal = false): Promise<{ out: string; err: string }> {
  const written = { out: "", err: "" };
  const collect = (to: "out" | "err"): Writable =>
    new Writable({ write: (text, _, done) => ((written[to] += String(text)), done()) });
  let now = 0;
  const out = Object.assign(collect("out"), { isTTY: terminal, columns: 100 });
  const log = await openLog(settings, "coordinator", { out, err: collect("err") });
  const renderer = rendererFor(settings, log, { out, now: () => now });
  for (const [at, event] of script) {
    now = at;
    renderer.event(event);
  }
  renderer.say("that was it");
  renderer.close();
  return written;
}

describe("piped", () => {
  it("is plain lines, with progress every five seconds", async () => {
    expect(await play({ format: "pretty", level: "info" })).toEqual({
      err: "",
      out: `data: 60,000 training and 10,000 test samples, sha256 d7d644fe492b
runs/mnist-1: 50,890 parameters, 938 steps; listening at ws://127.0.0.1:7000
waiting for workers: 1 of 2
w1 joined: 2 workers
epoch 1/2, step 101/938: loss 0.4322, accuracy 88.28 %, 48,780 samples/s, 2 workers, 1 min 20 s left
w1 is gone: the connection closed; 4 pieces of work given to others, 1 worker left
refused w9: it speaks version 0 [VERSION_MISMATCH]
epoch 1/2: loss 0.2827, accuracy 91.47 %, test loss 0.1648, test accuracy 94.82 %, 3.7 s
checkpoint runs/mnist-1/checkpoints/step-00000469.safetensors
warning: the disk is full [DISK_FAILED]
that was it
`,
    });
  });
});

describe("in JSON", () => {
  const lines = (out: string): Record<string, unknown>[] =>
    out
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);

  it("is every event as it is, one a line, with time, level, name and its sentence", async () => {
    const { out, err } = await play({ format: "json", level: "debug" });
    expect(err).toBe("");
    const told = lines(out);
    // The end is told by the command, when everything is closed.
    const events = script.map(([, event]) => event).filter(({ type }) => type !== "finished");
    expect(told).toHaveLength(events.length + 1);
    for (const [index, event] of events.entries())
      expect(told[index]).toMatchObject({ ...(JSON.parse(JSON.stringify(event)) as object), name: "coordinator" });
    for (const { time } of told) expect(new Date(time as string).toISOString()).toBe(time);
    expect(told[3]).toMatchObject({ level: "info", msg: "w1 joined: 2 workers" });
    expect(told.at(-1)).toMatchObject({ level: "info", msg: "that was it" });
  });

  it("has a line of progress every five seconds for the steps, and each at debug alone", async () => {
    const steps = async (level: LogSettings["level"]): Promise<unknown[]> =>
      lines((await play({ format: "json", level })).out)
        .filter(({ type }) => type === "step")
        .map((line) => [line.step, line.level]);
    expect(await steps("info")).toEqual([[101, "info"]]);
    const every = [1, 100, 101, 102].map((number) => [number, number === 101 ? "info" : "debug"]);
    expect(await steps("debug")).toEqual(every);
  });
});

describe("at the level warn", () => {
  const wrong = `w1 is gone: the connection closed; 4 pieces of work given to others, 1 worker left
refused w9: it speaks version 0 [VERSION_MISMATCH]
warning: the disk is full [DISK_FAILED]
`;

  it.each([true, false])("is what goes wrong alone, on a terminal (%s) too", async (terminal) => {
    expect(await play({ format: "pretty", level: "warn" }, terminal)).toEqual({ out: wrong, err: "" });
  });
});

describe("a terminal", () => {
  it("has a line with everything that fits its width", () => {
    const text = "epoch 1/2 · loss 0.4322 · accuracy 88.3 % · 48,780 samples/s · 2 workers · 1 min 20 s left";
    expect(barLine(step(469), 110)).toBe(`${"█".repeat(6)}${"░".repeat(5)}  50 % ${text}`);
    expect(barLine(step(469), 40)).toBe(" 50 % epoch 1/2 · loss 0.4322 · accurac");
    for (let columns = 1; columns < 200; columns++)
      expect(barLine(step(938), columns).length).toBeLessThanOrEqual(Math.max(1, columns - 1));
  });

  it("keeps what happens above the bar, and the bar away from the end", async () => {
    const { out } = await play({ format: "pretty", level: "info" }, true);
    expect(out).toContain("w1 joined: 2 workers\n");
    expect(out).toContain("epoch 1/2: loss 0.2827");
    expect(out).toContain("that was it\n");
    expect(out).not.toContain("checkpoint runs");
    // A sentence longer than a line goes on in the next: the terminal's wrapping stays on.
    expect(out).not.toContain("\u001B[?7l");
    // The cursor is shown again, and what was drawn last is cleared.
    expect(out).toContain("\u001B[?25h");
    expect(out.endsWith("\u001B[0J")).toBe(true);
  });
});

const next = { again: "lockstep train --resume mnist-1", use: "lockstep predict mnist-1 --input FILE" };

it("what a worker says cannot pass for a line of the run", () => {
  const message = "no data\nparameters sha256 0000";
  const event = { type: "refused", worker: "w9", code: "DATA_MISSING", message } as const;
  expect(sentenceOf(event)).toBe("refused w9: no data\n  parameters sha256 0000 [DATA_MISSING]");
});

describe("the last lines", () => {
  it("of a completed run end with accuracy and hash", () => {
    expect(lastLines(result, next, false)).toEqual([
      "938 steps in 12 s, 9,724 samples/s",
      "time: compute 60 %, reduction 10 %, wire 20 %, waiting 10 %; 382.7 MB sent, 999 B received",
      "model: runs/mnist-1/model.onnx, runs/mnist-1/model.safetensors",
      "use it: lockstep predict mnist-1 --input FILE",
      "test accuracy 97.61 %",
      `parameters sha256 ${"ab".repeat(32)}`,
    ]);
    expect(lastLines(result, next, true)).toEqual(["test accuracy 97.61 %", `parameters sha256 ${"ab".repeat(32)}`]);
  });

  it("of a run that went on say how many steps took that time", () => {
    const ended = { ...result, stepsTaken: 469, seconds: 6 };
    expect(lastLines(ended, next, false)[0]).toBe("469 steps in 6.0 s, 9,724 samples/s (938 steps in all)");
    expect(endSentence(ended)).toContain("completed: 469 steps in 6.0 s, 9,724 samples/s (938 steps in all), test");
  });

  it("have a loss where there is no accuracy, and neither without test data", () => {
    expect(lastLines({ ...result, testAccuracy: undefined }, next, true)[0]).toBe("test loss 0.08120");
    expect(lastLines({ ...result, testAccuracy: undefined, testLoss: undefined }, next, true)).toHaveLength(1);
  });

  it("of a run that was complete when it was resumed say so", () => {
    expect(lastLines({ ...result, seconds: 0, samplesPerSecond: 0 }, next, false).slice(0, 2)).toEqual([
      "runs/mnist-1 was complete: nothing was left to do (to train on: lockstep train --resume mnist-1 --epochs N)",
      "model: runs/mnist-1/model.onnx, runs/mnist-1/model.safetensors",
    ]);
  });

  it("of a run that had stopped early say that no further epoch can be asked for", () => {
    const ended = { ...result, seconds: 0, stoppedEarly: true, epochs: 4 };
    expect(lastLines(ended, next, false)[0]).toBe(
      "runs/mnist-1 was complete: nothing was left to do (it stopped early after epoch 4; to train on, begin a new run: --weights runs/mnist-1/model.safetensors)",
    );
  });

  it("of a stopped run say how to go on", () => {
    expect(lastLines({ ...result, outcome: "stopped", steps: 1938 }, next, false)).toEqual([
      "stopped after step 1,938, checkpoint written; to go on: lockstep train --resume mnist-1",
    ]);
    expect(lastLines({ ...result, outcome: "stopped", steps: 0 }, next, false)).toEqual([
      "stopped before the first step; to go on: lockstep train --resume mnist-1",
    ]);
  });
});

it("of a worker that goes, it is told whether others take its work over", () => {
  const lost = { type: "worker-lost", worker: "w1", reason: "left", reassigned: 1 } as const;
  expect(sentenceOf({ ...lost, workers: 2 })).toBe("w1 is gone: left; 1 piece of work given to others, 2 workers left");
  expect(sentenceOf({ ...lost, workers: 0 })).toBe("w1 is gone: left; 1 piece of work undone, no worker left");
});

it("the sentence at the end in a log says what was done, and whether anything is left to do", () => {
  const rest = `, test accuracy 97.61 %, parameters sha256 ${"ab".repeat(32)}`;
  expect(endSentence(result)).toBe(`completed: 938 steps in 12 s, 9,724 samples/s${rest}`);
  expect(endSentence({ ...result, outcome: "stopped" })).toBe(`stopped: 938 steps in 12 s, 9,724 samples/s${rest}`);
  const idle = { ...result, seconds: 0, samplesPerSecond: 0 };
  expect(endSentence(idle)).toBe(`completed: nothing was left to do${rest}`);
  expect(endSentence({ ...idle, outcome: "stopped" })).toBe(`stopped after step 938${rest}`);
  expect(endSentence({ ...idle, outcome: "stopped", steps: 0 })).toBe(`stopped before the first step${rest}`);
});

describe("numbers", () => {
  it.each([
    [0, "0.0 s"],
    [9.94, "9.9 s"],
    [9.96, "10 s"],
    [59.4, "59 s"],
    [59.6, "1 min 0 s"],
    [3599, "59 min 59 s"],
    [7500, "2 h 5 min"],
  ])("%d seconds are %s", (seconds, text) => {
    expect(duration(seconds)).toBe(text);
  });

  it.each([
    [0, "0 B"],
    [999, "999 B"],
    [1000, "1.0 kB"],
    [382_700_000, "382.7 MB"],
  ])("%d bytes are %s", (value, text) => {
    expect(bytes(value)).toBe(text);
  });
});

describe("a word in a command to copy", () => {
  it.each(["runs", "my runs", "../a$b", "it's", "a*;b", "C:\\runs"])("%s is what the shell reads", (word) => {
    expect(execFileSync("sh", ["-c", `printf %s ${quoted(word)}`], { encoding: "utf8" })).toBe(word);
  });

  it("is plain where it can be", () => {
    expect(quoted("../runs/first_1.2")).toBe("../runs/first_1.2");
  });
});

describe("the address that workers elsewhere are given", () => {
  const at = (family: "IPv4" | "IPv6", address: string, scopeid = 0, internal = false) =>
    ({ family, address, scopeid, internal, netmask: "", mac: "", cidr: null }) as NetworkInterfaceInfo;
  const lo = [at("IPv4", "127.0.0.1", 0, true), at("IPv6", "::1", 0, true)];
  const six = [at("IPv6", "fe80::1", 2), at("IPv6", "fd00::2")];
  const both = { lo, eth0: [at("IPv4", "10.0.0.7"), ...six] };

  it("is the one listened at, or where that is any of this machine's, each that is reached from outside", () => {
    expect(reachableAddresses("ws://127.0.0.1:7000", both)).toEqual(["ws://127.0.0.1:7000"]);
    expect(reachableAddresses("ws://0.0.0.0:7000", both)).toEqual(["ws://10.0.0.7:7000"]);
    expect(reachableAddresses("wss://[::]:7000", both)).toEqual(["wss://10.0.0.7:7000"]);
  });

  it("is one of IPv6 where there is no other, but none of a link", () => {
    expect(reachableAddresses("ws://[::]:7000", { lo, eth0: six })).toEqual(["ws://[fd00::2]:7000"]);
    expect(reachableAddresses("ws://0.0.0.0:7000", { lo, eth0: six })).toEqual(["ws://0.0.0.0:7000"]);
    expect(reachableAddresses("ws://[::]:7000", { lo })).toEqual(["ws://[::]:7000"]);
  });
});
