/** The logs of a cluster: JSON lines where there is no terminal, sentences where there is one, the token in neither. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolder } from "../support/files.ts";
import { lockstep, worker } from "../support/lockstep.ts";
import type { Finished } from "../support/lockstep.ts";
import { writeMnistPart } from "../support/mnist.ts";
import { hasScript, Terminal } from "../support/terminal.ts";

const secret = "this token must be in no log";
/** As under a supervisor: nobody has chosen a format. */
const unset = { LOCKSTEP_LOG: "" };
const knowing = { ...unset, LOCKSTEP_TOKEN: secret };

async function prepared(): Promise<string> {
  const folder = await temporaryFolder();
  await writeMnistPart(join(folder, "digits"), 300, 100);
  return folder;
}

const coordinate = (epochs: number): string[] =>
  `coordinator --data digits --batch 30 --name told --epochs ${epochs}`.split(" ");

interface Line {
  readonly time: string;
  readonly level: string;
  readonly name: string;
  readonly msg: string;
  readonly type?: string;
  readonly code?: string;
}

/** Every line it has written, all of them JSON, all by this name. */
function linesOf({ stdout, stderr }: Finished, name: string): Line[] {
  expect(stderr).toBe("");
  expect(stdout).not.toContain(secret);
  const lines = stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Line);
  for (const line of lines) {
    expect(line.name).toBe(name);
    expect(Math.abs(Date.now() - Date.parse(line.time))).toBeLessThan(3_600_000);
    expect(line.msg).not.toBe("");
  }
  return lines;
}

const said = (lines: readonly Line[]): string[] => lines.map(({ level, msg }) => `${level} ${msg}`);

test("where there is no terminal coordinator and workers write a JSON object a line, and the token in none", async () => {
  const folder = await prepared();
  const coordinator = lockstep([...coordinate(2), "--log-level", "debug"], folder, knowing);
  const { url } = await coordinator.event("listening");
  await writeFile(join(folder, "other.token"), "another token, also long enough");
  const wrong = worker([url, "--name", "wrong", "--token-file", join(folder, "other.token")], unset);
  const [refused, ...more] = linesOf(await wrong.finished, "wrong");
  expect(refused).toMatchObject({ level: "fatal", type: "failed", code: "TOKEN_REFUSED" });
  expect(more).toEqual([]);

  const member = lockstep(["worker", url, "--name", "member"], folder, knowing);
  const [whole, its] = await Promise.all([coordinator.finished, member.finished]);
  expect([whole.code, its.code]).toEqual([0, 0]);
  const lines = linesOf(whole, "coordinator");
  expect(said(lines)).toContainEqual(expect.stringMatching(/^info start workers with: .*lockstep -- worker ws:/));
  expect(said(lines)).toContainEqual(expect.stringMatching(/^warn refused wrong: .* \[TOKEN_REFUSED\]$/));
  expect(said(lines)).toContain("info member joined: 1 worker");
  expect(lines.filter(({ type, level }) => type === "step" && level === "debug")).toHaveLength(20);
  expect(lines.at(-1)).toMatchObject({
    level: "info",
    type: "finished",
    msg: expect.stringMatching(/^completed: 20 /),
  });
  expect(said(linesOf(its, "member"))).toEqual([
    "info ready to compute, in memory shared with the coordinator",
    "info the run has been completed",
  ]);
});

test("an error that ends a coordinator before its run is a line of its log too", async () => {
  const failed = await lockstep(["coordinator", "--data", "nothing"], await prepared(), unset).finished;
  expect(failed.code).toBe(1);
  expect(linesOf(failed, "coordinator")).toEqual([
    expect.objectContaining({
      level: "fatal",
      code: "DATA_MISSING",
      hint: expect.stringMatching(/^The folder must hold/),
    }),
  ]);
});

test("a format that there is not is refused by coordinator and worker, in sentences", async () => {
  const folder = await prepared();
  const [one, other] = [
    lockstep([...coordinate(1), "--log", "xml"], folder),
    lockstep(["worker", "ws://127.0.0.1:9"], folder, { LOCKSTEP_LOG: "xml" }),
  ];
  const { code, stderr } = await one.finished;
  expect(code).toBe(2);
  expect(stderr).toBe("error: --log: found xml, expected pretty or json [CONFIG_INVALID]\n");
  expect((await other.finished).stderr).toMatch(/^error: the variable LOCKSTEP_LOG: found xml/);
});

test("a coordinator on a terminal speaks in sentences", { skip: !hasScript }, async () => {
  const terminal = new Terminal(coordinate(100), await prepared(), 130);
  await terminal.shows(/\nstart workers with: npm run lockstep -- worker ws:[^]*waiting for workers: 0 of 1/);
  terminal.interrupt();
  expect(await terminal.finished).toBe(0);
  expect(terminal.text).not.toContain('{"');
});
