/** Who may join a run with a token, with real processes: those that know it, on both sides; and nobody hears it. */
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { WebSocket } from "ws";
import { listen } from "../../coordinator/server/server.ts";
import type { ServerListener } from "../../coordinator/server/server.ts";
import { runId, workerId } from "../../shared/ids.ts";
import { decodeFrame, encodeFrame } from "../../shared/protocol/codec.ts";
import { JoinToken } from "../../shared/protocol/handshake.ts";
import { checkCoordinatorMessage, checkWorkerMessage } from "../../shared/protocol/validate.ts";
import { temporaryFolder } from "../support/files.ts";
import { asEvents, lockstep, worker } from "../support/lockstep.ts";
import type { Finished, Lockstep } from "../support/lockstep.ts";
import { writeMnistPart } from "../support/mnist.ts";

const secret = "correct-horse-battery-staple";

/** A folder with 300 digits and the token in a file. */
async function prepared(): Promise<string> {
  const folder = await temporaryFolder();
  await writeMnistPart(join(folder, "digits"), 300, 100);
  await writeFile(join(folder, "join.token"), `${secret}\n`);
  await writeFile(join(folder, "other.token"), "another token, also long enough");
  return folder;
}

const short = ["--data", "digits", "--epochs", "2", "--batch", "30", ...asEvents];
const coordinate = (folder: string, ...more: string[]): Lockstep =>
  lockstep(["coordinator", ...short, ...more], folder);

async function refusal(process: Lockstep): Promise<Finished> {
  const finished = await process.finished;
  expect(finished.code).toBe(1);
  expect(finished.stderr).not.toMatch(/^ +at /m);
  expect(finished.stdout + finished.stderr).not.toContain(secret);
  return finished;
}

test("a run with a token takes who knows it, from a file or the environment, and refuses everyone else with what to do", async () => {
  const folder = await prepared();
  const open = lockstep(["train", ...short, "--name", "open"], folder);
  const { parametersSha256 } = await open.result();

  const coordinator = coordinate(folder, "--name", "closed", "--token-file", "join.token");
  const { url } = await coordinator.event("listening");
  const without = await refusal(worker([url, "--name", "without"]));
  const wrong = await refusal(worker([url, "--name", "wrong", "--token-file", join(folder, "other.token")]));
  for (const { stderr } of [without, wrong])
    expect(stderr).toMatch(/did not prove that it knows .*\[TOKEN_REFUSED\]\n {2}what to do: .*--token-file/);
  expect(await coordinator.event("refused")).toMatchObject({ worker: "without", code: "TOKEN_REFUSED" });
  expect(coordinator.events.some(({ type }) => type === "worker-joined")).toBe(false);

  const byFile = lockstep(["worker", url, "--name", "file", "--token-file", join(folder, "join.token")]);
  const byVariable = worker([url, "--name", "variable"], { LOCKSTEP_TOKEN: secret });
  expect((await coordinator.result()).parametersSha256).toBe(parametersSha256);
  expect((await byFile.finished).code).toBe(0);
  expect((await byVariable.finished).code).toBe(0);
});

test("a worker with a token is told where there is none to prove", async () => {
  const coordinator = coordinate(await prepared());
  const { url } = await coordinator.event("listening");
  const { stderr } = await refusal(worker([url, "--name", "eager"], { LOCKSTEP_TOKEN: secret }));
  expect(stderr).toMatch(/worker eager was given a join token, and this coordinator has none \[TOKEN_REFUSED\]/);
});

test("a worker computes nothing for a coordinator that cannot prove that it knows the token", async () => {
  const heard: string[] = [];
  const challenge = "c".repeat(64);
  const impostor: ServerListener = {
    onConnection({ outbox }) {
      outbox.send(encodeFrame({ type: "challenge", nonce: challenge }));
      return {
        onFrame(frame) {
          const message = checkWorkerMessage(decodeFrame(frame).header);
          heard.push(message.type);
          if (message.type !== "hello") return;
          // All that it has: the worker's own proof.
          const { proof } = message;
          outbox.send(
            encodeFrame({ type: "welcome", run: runId("r"), worker: workerId("w1"), proof, plan, packs: false }),
          );
        },
        onBytes() {},
        onClose() {},
      };
    },
    onRefused() {},
  };
  const hash = "0".repeat(64);
  const plan = {
    seed: 1,
    data: { kind: "mnist" },
    validation: 0,
    dataMemory: 1024,
    augment: [],
    dataSha256: hash,
    train: {},
    evaluate: {},
    parameters: [],
    layoutHash: hash,
    metrics: [],
    evaluated: [],
    batch: 8,
    shards: 4,
    isLong: false,
    trace: false,
  };
  const server = await listen({
    host: "127.0.0.1",
    port: 0,
    token: JoinToken.none,
    maxConnections: 9,
    partialBytes: 1 << 20,
  });
  onTestFinished(() => server.close());
  server.serve(impostor);
  const { stderr } = await refusal(worker([server.url, "--name", "wary"], { LOCKSTEP_TOKEN: secret }));
  expect(stderr).toMatch(/the coordinator did not prove that it knows the join token.*\[TOKEN_REFUSED\]/);
  expect(heard).toEqual(["hello"]);
});

test("who cannot prove it hears a nonce and a refusal, and after ten attempts nothing", async () => {
  const folder = await prepared();
  const coordinator = coordinate(folder, "--token-file", "join.token");
  const { url } = await coordinator.event("listening");
  const nonces = new Set<string>();
  for (let attempt = 1; attempt <= 10; attempt++) {
    const socket = new WebSocket(url);
    const frames: Buffer[] = [];
    socket.on("message", (frame: Buffer) => frames.push(frame));
    await new Promise((resolve) => socket.once("open", resolve));
    // Skipping the hello is no way in either.
    socket.send(
      encodeFrame({ type: "ready", dataSha256: hash, layoutHash: hash, fingerprint: hash, sharesMemory: false })[0]!,
    );
    await new Promise((resolve) => socket.once("close", resolve));
    const [challenge, refused, ...others] = frames.map((frame) => checkCoordinatorMessage(decodeFrame([frame]).header));
    expect(others).toEqual([]);
    expect(refused).toMatchObject({ type: "refused", code: "PROTOCOL_VIOLATION" });
    nonces.add((challenge as { nonce: string }).nonce);
  }
  expect(nonces.size).toBe(10);
  const known = worker([url, "--name", "late", "--patience", "1"], { LOCKSTEP_TOKEN: secret });
  const { stdout } = await refusal(known);
  expect(stdout).toMatch(/refused for now: 10 joins from 127\.0\.0\.1 failed within a minute; trying again/);
  const told = await coordinator.event("refused", ({ code }) => code === "CONNECTION_REFUSED");
  expect(told).toMatchObject({ worker: "127.0.0.1" });
});
const hash = "0".repeat(64);

test.each([
  ["a file", ["--token-file", "join.token"], {}],
  ["the environment", [], { LOCKSTEP_TOKEN: secret }],
])("a token from %s is in no file of the run, no output and no process list", async (_from, flags, environment) => {
  const folder = await prepared();
  const runs = join(folder, "runs");
  const run = lockstep(["train", ...short, ...flags, "--epochs", "100000", "--runs", runs], folder, environment);
  await run.event("step", ({ step, workers }) => step > 40 && workers === 2);
  const processes = [run.process.pid!, ...run.children()];
  expect(processes).toHaveLength(3);
  for (const pid of processes) {
    const words = await readFile(`/proc/${pid}/cmdline`, "utf8");
    expect(words).toContain("main.ts");
    expect(words).not.toContain(secret);
  }
  run.process.kill("SIGINT");
  const { stdout, stderr, code } = await run.finished;
  expect(code).toBe(0);
  expect(stdout + stderr).not.toContain(secret);
  const files = await readdir(runs, { recursive: true, withFileTypes: true });
  const contents = files.filter((file) => file.isFile()).map((file) => join(file.parentPath, file.name));
  expect(contents.length).toBeGreaterThan(3);
  for (const file of contents) expect((await readFile(file)).includes(secret), file).toBe(false);
});

test("a token that is weak or cannot be read is refused before anything starts, on both sides", async () => {
  const folder = await prepared();
  await writeFile(join(folder, "weak.token"), "hunter2");
  const both = (flags: string[]): Lockstep[] => [
    lockstep(["train", ...short, ...flags], folder),
    lockstep(["worker", "ws://127.0.0.1:9", ...flags], folder),
  ];
  for (const process of both(["--token-file", "weak.token"])) {
    const { code, stdout, error } = await process.finished;
    expect(code).toBeGreaterThan(0);
    expect(error).toMatch(/weak\.token has 7 characters, it needs 16.*\[TOKEN_INVALID\]\n {2}what to do: make one/);
    expect(stdout + error).not.toContain("hunter2");
  }
  for (const process of both(["--token-file", "none.token"]))
    expect((await process.finished).error).toMatch(/none\.token: no such file \[TOKEN_INVALID\]/);
  expect(await readdir(folder)).not.toContain("runs");
});

test("an address that other machines reach needs a token or --insecure", async () => {
  const folder = await prepared();
  const everywhere = ["--host", "0.0.0.0"];
  const { error } = await coordinate(folder, ...everywhere).finished;
  expect(error).toMatch(/\[BIND_REFUSED\]\n {2}what to do: .*--token-file.*LOCKSTEP_TOKEN.*--insecure/);
  const guarded = coordinate(folder, ...everywhere, "--name", "guarded", "--token-file", "join.token");
  const { port } = new URL((await guarded.event("listening")).url);
  await refusal(worker([`ws://127.0.0.1:${port}`]));
  const insecure = coordinate(folder, ...everywhere, "--name", "insecure", "--insecure");
  const { url } = await insecure.event("listening");
  worker([`ws://127.0.0.1:${new URL(url).port}`]);
  await insecure.event("worker-joined");
});
