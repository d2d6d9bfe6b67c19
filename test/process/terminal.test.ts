/** What a person sees: the bar on a terminal, plain lines in a pipe, and Ctrl-C once and twice. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { constants } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout } from "node:timers/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import { temporaryFolder } from "../support/files.ts";
import { asEvents, lockstep } from "../support/lockstep.ts";
import type { Lockstep } from "../support/lockstep.ts";
import { writeMnistPart } from "../support/mnist.ts";
import { Lockstep as LockstepProcess } from "../support/lockstep-process.ts";
import { hasScript, Terminal } from "../support/terminal.ts";

async function prepared(): Promise<string> {
  const folder = await temporaryFolder();
  await writeMnistPart(join(folder, "digits"), 4000, 500);
  return folder;
}

const train = (epochs: number): string[] => `train --data digits --batch 20 --name seen --epochs ${epochs}`.split(" ");

/** With all that belongs on it, at the end of a line. */
const bar =
  /\n[█░]+ +\d+ % epoch \d\/2 · loss \d[\d.e+-]* · accuracy \d+\.\d % · [\d,]+ samples\/s · 2 workers · (\d+ min )?\d+(\.\d)? s left\n/;

describe("a terminal, by way of `script` from util-linux,", { skip: !hasScript }, () => {
  test("shows a bar that tells all, and the last two lines the result", async () => {
    const folder = await prepared();
    const terminal = new Terminal(train(2), folder, 130);
    expect(await terminal.finished).toBe(0);
    expect(terminal.text).toMatch(bar);
    expect(terminal.text).toMatch(/\nepoch 2\/2: loss .*, test accuracy /);
    const [accuracy, hash, end] = terminal.raw.split("\r\n").slice(-3);
    expect(accuracy).toMatch(/^test accuracy \d+\.\d\d %$/);
    expect(hash).toMatch(/^parameters sha256 [0-9a-f]{64}$/);
    expect(end).toBe("");
  });

  test("of unknown width counts as 80 columns wide", async () => {
    const folder = await prepared();
    const terminal = new Terminal(train(2), folder, 0);
    expect(await terminal.finished).toBe(0);
    expect(terminal.text).toMatch(/\n +\d+ % epoch 1\/2 · loss \d[\d.e+-]* · accuracy \d+\.\d %/);
  });

  test("at Ctrl-C writes a checkpoint and says how to go on", async () => {
    const folder = await prepared();
    const terminal = new Terminal(train(500), folder, 130);
    await terminal.shows(/epoch 2\/500 ·/);
    terminal.interrupt();
    expect(await terminal.finished).toBe(0);
    const [said, end] = terminal.raw.split("\r\n").slice(-2);
    const [, step, hint] = /stopped after step ([\d,]+), checkpoint written; to go on: npm run lockstep -- (.*)$/.exec(
      said!,
    )!;
    expect(end).toBe("");
    expect(terminal.text).toContain("\nstopping: ");
    expect(hint).toBe("train --resume seen");
    const checkpoints = await readdir(join(folder, "runs", "seen", "checkpoints"));
    const digits = step!.replaceAll(",", "").padStart(8, "0");
    expect(checkpoints.sort().at(-1)).toBe(`step-${digits}.safetensors`);

    const resumed = lockstep([...hint!.split(" "), ...asEvents], folder);
    expect((await resumed.event("listening")).resumedAt).toBe(Number(digits));
  });

  test.each(["", "| cat"])("that is closed has the run write a checkpoint %s", async (behind) => {
    const folder = await prepared();
    const terminal = new Terminal(train(500), folder, 130, behind);
    await terminal.shows(/epoch 1\/500: loss/);
    const run = terminal.coordinator;
    terminal.close();
    await expect.poll(() => existsSync(`/proc/${run}`)).toBe(false);
    expect(await readdir(join(folder, "runs", "seen", "checkpoints"))).not.toEqual([]);
  });

  test("at the second Ctrl-C ends at once and gives the cursor back", async () => {
    const folder = await prepared();
    const terminal = new Terminal(train(500), folder, 130);
    await terminal.shows(/epoch 2\/500 ·/);
    // With its workers frozen no step ends, so the first Ctrl-C alone would wait for a long time.
    expect(terminal.freezeWorkers()).toBe(2);
    terminal.interrupt();
    await terminal.shows(/\nstopping: .*Ctrl-C again ends at once/);
    // At once it would be the first one that was passed on again.
    await setTimeout(600);
    const asked = performance.now();
    terminal.interrupt();
    expect(await terminal.finished).toBe(130);
    expect(performance.now() - asked).toBeLessThan(3_000);
    expect(terminal.raw.lastIndexOf("\u001B[?25h")).toBeGreaterThan(terminal.raw.lastIndexOf("\u001B[?25l"));
  });
});

/** A run on no terminal that has taken some steps. */
async function underWay(): Promise<Lockstep> {
  const run = lockstep([...train(500), ...asEvents], await prepared());
  await run.event("step", ({ step }) => step > 10);
  return run;
}

test("a signal that comes twice at once, as npm and `timeout` pass it on, stops the run in good order", async () => {
  const run = await underWay();
  run.process.kill("SIGINT");
  await setTimeout(50);
  run.process.kill("SIGINT");
  expect((await run.result()).outcome).toBe("stopped");
  expect((await run.finished).code).toBe(0);
});

/** A process in which what was asked to stop is done at once. */
function doneAtOnce(code: string): {
  child: ReturnType<typeof spawn>;
  said: () => Promise<string>;
  ended: Promise<unknown[]>;
} {
  const interrupt = new URL("../../coordinator/cli/interrupt.ts", import.meta.url).href;
  const whole = `
    import { stopOnInterrupt } from ${JSON.stringify(interrupt)};
    let asked;
    const release = stopOnInterrupt(() => { asked = performance.now(); release(); console.log("done"); });
    ${code}
    console.log("ready");`;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", whole], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  return { child, said: async () => String((await lines.next()).value), ended: once(child, "close") };
}

test("a signal that comes twice ends nobody who was done before it came again, and a later one does", async () => {
  const { child, said, ended } = doneAtOnce("setTimeout(() => {}, 60_000);");
  expect(await said()).toBe("ready");
  child.kill("SIGINT");
  expect(await said()).toBe("done");
  child.kill("SIGINT");
  await setTimeout(700);
  expect([child.exitCode, child.signalCode]).toEqual([null, null]);
  child.kill("SIGINT");
  expect(await ended).toEqual([null, "SIGINT"]);
});

test("who is done does not end while the signal may come again, when nothing would hear it", async () => {
  const { child, said, ended } = doneAtOnce(`
    const waiting = setTimeout(() => {}, 60_000);
    process.once("SIGINT", () => clearTimeout(waiting));
    process.once("exit", () => console.log(performance.now() - asked));`);
  expect(await said()).toBe("ready");
  child.kill("SIGINT");
  expect(await said()).toBe("done");
  expect(Number(await said())).toBeGreaterThan(400);
  expect(await ended).toEqual([0, null]);
});

test("stopped while it waits for workers, a coordinator speaks of none that was taken", async () => {
  const run = lockstep(["coordinator", "--data", "digits", "--log", "json"], await prepared());
  await run.event("waiting");
  run.process.kill("SIGINT");
  const { code, stdout } = await run.finished;
  expect(code).toBe(0);
  expect(stdout).toContain('"msg":"stopping: a step under way is finished, and those taken are in a checkpoint');
  expect(stdout).toContain('"msg":"stopped before the first step, parameters sha256 ');
});

test("without a terminal a hang-up changes nothing, for the workers neither", async () => {
  const run = await underWay();
  process.kill(-run.process.pid!, "SIGHUP");
  const { step } = await run.event("step", (event) => event === run.events.at(-1));
  await run.event("step", (event) => event.step > step + 200);
  expect(run.events.filter(({ type }) => type === "worker-lost")).toEqual([]);
});

test("a second SIGTERM ends the process by that signal", async () => {
  const run = await underWay();
  for (const pid of run.children()) process.kill(pid, "SIGSTOP");
  // One that comes while another is pending is none.
  const asking = setInterval(() => run.process.kill("SIGTERM"), 50);
  await run.finished;
  clearInterval(asking);
  expect(run.process.signalCode).toBe("SIGTERM");
});

/** Makes the command behind it the first of a world of processes of its own, as in a container. */
const container = ["unshare", "--pid", "--fork", "--mount-proc"] as const;
const hasContainers = spawnSync(container[0], [...container.slice(1), "true"]).status === 0;

test.runIf(hasContainers)("a second SIGTERM ends the first process of a container too", async () => {
  const args = [...train(500), ...asEvents];
  const run = new LockstepProcess("coordinator/cli/main.ts", args, await prepared(), {}, container);
  onTestFinished(() => run.killAll());
  await run.event("step", ({ step }) => step > 10);
  const [first] = run.children();
  const asking = setInterval(() => {
    try {
      process.kill(first!, "SIGTERM");
    } catch {
      // It has ended.
    }
  }, 50);
  const workers = readFileSync(`/proc/${first}/task/${first}/children`, "utf8").trim().split(" ");
  for (const pid of workers) process.kill(Number(pid), "SIGSTOP");
  expect((await run.finished).code).toBe(128 + constants.signals.SIGTERM);
  clearInterval(asking);
});

test("a pipe gets plain lines: nothing is drawn, and the last two lines are the result", async () => {
  const folder = await prepared();
  const { code, stdout, stderr } = await lockstep(train(2), folder).finished;
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  // oxlint-disable-next-line no-control-regex -- escape codes are what must not be there
  expect(stdout).not.toMatch(/[\u0000-\u0009\u000B-\u001F█░]/);
  const lines = stdout.trimEnd().split("\n");
  expect(lines[0]).toMatch(/^data: 4,000 training and 500 test samples, sha256 [0-9a-f]{12}$/);
  expect(lines.filter((line) => /^epoch \d\/2: loss /.test(line))).toHaveLength(2);
  expect(lines).toContain(`checkpoint ${join("runs", "seen", "checkpoints", "step-00000400.safetensors")}`);
  expect(lines.at(-2)).toMatch(/^test accuracy \d+\.\d\d %$/);
  expect(lines.at(-1)).toMatch(/^parameters sha256 [0-9a-f]{64}$/);
});
