/** What a person's mistake gets from the real command: what is wrong, where, what to do; never a stack trace, never exit 0. */
import { execFileSync } from "node:child_process";
import { cp, mkdir, open, readdir, readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { readRun } from "../../coordinator/run-folder/folder.ts";
import { temporaryFolder } from "../support/files.ts";
import { asEvents, lockstep, worker } from "../support/lockstep.ts";
import { writeMnistPart } from "../support/mnist.ts";

/** A folder with 300 digits, a config, and files with one mistake each. */
async function prepared(): Promise<string> {
  const folder = await temporaryFolder();
  await writeMnistPart(join(folder, "digits"), 300, 100);
  await mkdir(join(folder, "runs", "taken"), { recursive: true });
  await writeFile(join(folder, "runs", "taken", "keep.txt"), "mine");
  await writeFile(join(folder, "misspelt.yaml"), "seed: 1\nlearningrate: 0.1\nbatchsize: 32\n");
  await writeFile(join(folder, "types.yaml"), "batch: many\noptimizer: { sgd: { learningRate: -1 } }\n");
  await writeFile(join(folder, "letters.csv"), "label,a,b\n0,1,2\n1,x,2\n");
  await writeFile(join(folder, "labels.csv"), "label,a,b\n0,1,2\n12,1,2\n");
  await writeFile(join(folder, "ragged.csv"), "label,a,b\n0,1,2\n1,2\n");
  await writeFile(join(folder, "page.onnx"), "<!doctype html>");
  await writeFile(join(folder, "page.yaml"), "model: { layers: [{ onnx: page.onnx }, { dense: 10 }] }\n");
  const layer = { file: fileURLToPath(new URL("../data/residual.onnx", import.meta.url)), prefix: "two\nlines" };
  const layers = [{ onnx: layer }, { flatten: {} }, { dense: 10 }];
  await writeFile(join(folder, "prefix.yaml"), JSON.stringify({ model: { layers } }));
  await writeFile(join(folder, "groups.yaml"), "groups: [{ parameters: [9.weihgt], frozen: true }]\n");
  await writeFile(join(folder, "monitor.yaml"), "data: { csv: { train: labels.csv, target: 1 } }\nmonitor: testLoss\n");
  await writeFile(join(folder, "huge.yaml"), "model: { layers: [{ dense: 800000 }, { dense: 10 }] }\n");
  const digits = join(folder, "digits", "train-images-idx3-ubyte");
  await mkdir(join(folder, "short"));
  await writeMnistPart(join(folder, "short"), 300, 100);
  await writeFile(join(folder, "short", "train-images-idx3-ubyte"), (await readFile(digits)).subarray(0, 5000));
  return folder;
}

const train = (...args: string[]): string[] => ["train", "--data", "digits", "--epochs", "1", ...args];

const mistakes: readonly { what: string; args: string[]; says: RegExp[] }[] = [
  { what: "an unknown command", args: ["trian"], says: [/train/] },
  { what: "an unknown flag", args: train("--epcohs", "2"), says: [/--epochs/] },
  {
    what: "misspelt keys",
    args: ["train", "misspelt.yaml"],
    says: [/misspelt\.yaml:2/, /learningrate/, /batchsize/, /batch/],
  },
  {
    what: "wrong types and ranges",
    args: ["train", "types.yaml"],
    says: [/types\.yaml:1/, /batch/, /many/, /learningRate/, /-1/],
  },
  { what: "a missing config", args: ["train", "nowhere.yaml"], says: [/nowhere\.yaml/] },
  { what: "a flag's value", args: train("--shards", "none"), says: [/--shards/, /none/] },
  { what: "data of another shape", args: train("--layers", "100,10"), says: [/100/, /784/, /SHAPE_MISMATCH/] },
  { what: "too few outputs", args: train("--layers", "784,5"), says: [/5/, /10/] },
  { what: "missing data", args: ["train", "--data", "nothing"], says: [/nothing/, /DATA_MISSING/] },
  {
    what: "truncated data",
    args: ["train", "--data", "short"],
    says: [/short.*train-images-idx3-ubyte/, /235200/, /4984/, /DATA_INVALID/],
  },
  { what: "a letter in a CSV", args: ["train", "--data", "letters.csv"], says: [/letters\.csv:3/, /"?x"?/] },
  { what: "a ragged CSV", args: ["train", "--data", "ragged.csv"], says: [/ragged\.csv:3/] },
  { what: "a label out of range", args: ["train", "--data", "labels.csv"], says: [/labels\.csv:3/, /12/] },
  {
    what: "no ONNX file",
    args: train("page.yaml"),
    says: [/page\.onnx: .*no whole ONNX file/, /MODEL_INVALID/, /again/],
  },
  {
    what: "weights that are none",
    args: train("--weights", "page.onnx"),
    says: [/page\.onnx is no whole safetensors/, /WEIGHTS_INVALID/],
  },
  {
    what: "weights that are not there",
    args: train("--weights", "no.safetensors"),
    says: [/no\.safetensors.*there is no such file/],
  },
  {
    what: "a name that workers refuse",
    args: train("prefix.yaml"),
    says: [/"two\\nlines.*": a line break/, /MODEL_INVALID/],
  },
  { what: "a misspelt group", args: train("groups.yaml"), says: [/9\.weihgt/, /CONFIG_INVALID/] },
  { what: "a figure that is never known", args: ["train", "monitor.yaml"], says: [/monitor: testLoss is never known/] },
  {
    what: "too many epochs",
    args: ["train", "--data", "digits", "--epochs", "999999999"],
    says: [/999,999,999 epochs/],
  },
  { what: "a model too large", args: train("huge.yaml"), says: [/GiB|MiB|bytes|memory/] },
  { what: "a run folder that exists", args: train("--name", "taken"), says: [/taken/, /RUN_EXISTS/, /--resume/] },
  { what: "a run that does not exist", args: ["train", "--resume", "never"], says: [/never/, /RUN_MISSING/] },
  { what: "going on without a name", args: train("--continue"), says: [/--continue/, /--name/] },
  { what: "an open port without a word", args: train("--host", "0.0.0.0"), says: [/BIND_REFUSED/, /--insecure/] },
  { what: "a worker's address", args: ["worker", "localhost:1"], says: [/localhost:1/, /ws:\/\//] },
  { what: "evaluating nothing", args: ["evaluate", "never"], says: [/never/] },
];

test("every mistake gets a sentence with what is wrong and what to do", async () => {
  const folder = await prepared();
  for (const { what, args, says } of mistakes) {
    const { code, stdout, stderr } = await lockstep(args, folder).finished;
    expect(code, `${what}: ${stderr}`).toBeGreaterThan(0);
    for (const part of says) expect(stdout + stderr, what).toMatch(part);
    expect(stderr, what).not.toMatch(/^ +at /m);
  }
  // Nothing was made and nothing overwritten.
  expect(await readdir(join(folder, "runs"))).toEqual(["taken"]);
  expect(await readdir(join(folder, "runs", "taken"))).toEqual(["keep.txt"]);
}, 300_000);

test("a port in use is refused with the port", async () => {
  const folder = await prepared();
  const server = createServer().listen(0, "127.0.0.1");
  onTestFinished(() => void server.close());
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as AddressInfo;
  const { code, stderr } = await lockstep(train("--port", `${port}`), folder).finished;
  expect(code).toBe(1);
  expect(stderr).toContain(`port ${port}`);
  expect(stderr).toContain("PORT_IN_USE");
});

test("a name that nobody chose gives way to the next where another run takes it in the meantime", async () => {
  const folder = await prepared();
  const runs = join(folder, "runs");
  expect((await lockstep(train("--name", "other"), folder).finished).code).toBe(0);
  execFileSync("mkfifo", [join(folder, "pipe.safetensors")]);
  const run = lockstep(train("--weights", "pipe.safetensors"), folder);
  // It reads them once it has chosen its name, and before it makes its folder.
  const pipe = await open(join(folder, "pipe.safetensors"), "w");
  await cp(join(runs, "other"), join(runs, "digits-1"), { recursive: true });
  await pipe.writeFile(await readFile(join(runs, "other", "model.safetensors")));
  await pipe.close();
  const { code, stdout, stderr } = await run.finished;
  expect([code, stderr]).toEqual([0, ""]);
  expect(stdout).toContain("predict digits-2 --input");
  expect((await readRun(join(runs, "digits-2"))).config).toMatchObject({ name: "digits-2" });
  expect((await readRun(join(runs, "digits-1"))).config).toMatchObject({ name: "other" });
});

test("a second coordinator on a run folder is told who has it, and the first goes on", async () => {
  const folder = await prepared();
  const command = ["coordinator", "--data", "digits", "--epochs", "2", "--name", "shared", "--continue", ...asEvents];
  const first = lockstep(command, folder);
  const { url } = await first.event("listening");
  const { code, stdout, error } = await lockstep(command, folder).finished;
  expect(code).toBe(1);
  expect(error).toContain(`runs/shared is in use by process ${first.process.pid} [RUN_LOCKED]`);
  expect(error).toMatch(/what to do: Wait until it ends or stop it, or choose another --name/);
  expect(stdout).not.toContain('"listening"');
  worker([url]);
  expect((await first.result()).outcome).toBe("completed");
});

test("a worker without a coordinator tries again, says so, and gives up with the address", async () => {
  const { code, stdout, stderr } = await worker(["ws://127.0.0.1:9", "--name", "lonely", "--patience", "1"]).finished;
  expect(code).toBe(1);
  expect(stdout).toMatch(/^worker lonely: not connected: nothing listens at 127\.0\.0\.1:9; trying again in 0\.\d s$/m);
  expect(stderr).toContain("COORDINATOR_UNREACHABLE");
});

test.for([
  { what: "an address", args: ["nowhere"], says: /ADDRESS_INVALID/ },
  { what: "a number", args: ["ws://127.0.0.1:9", "--threads", "0"], says: /CONFIG_INVALID/ },
  { what: "a token's file", args: ["ws://127.0.0.1:9", "--token-file", "no.token"], says: /TOKEN_INVALID/ },
])("a worker that is given $what that is none ends as the commands do after a mistake", async ({ args, says }) => {
  const { code, stderr } = await worker(args).finished;
  expect(stderr).toMatch(says);
  expect(code).toBe(2);
});

test("a doctor finds this machine well, and says where nobody answers", async () => {
  const folder = await temporaryFolder();
  const [alone, asking] = [["doctor"], ["doctor", "ws://127.0.0.1:9"]].map((args) => lockstep(args, folder));
  const well = await alone!.finished;
  expect(well).toMatchObject({ code: 0, stderr: "" });
  expect(well.stdout).toMatch(/^ok +versions +Lockstep \d+\.\d+\.\d+, Node \d+/m);
  expect(well.stdout).toMatch(/^ok +engine +onnxruntime-node \d+\.\d+\.\d+ cpu runs a program$/m);
  expect(well.stdout).not.toMatch(/^failure/m);
  const { code, stdout } = await asking!.finished;
  expect(code).toBe(1);
  expect(stdout).toMatch(
    /^failure +coordinator +nothing listens at 127\.0\.0\.1:9; what to do: see that it runs there/m,
  );
  expect(stdout).toMatch(/^ok +engine/m);
  expect(await readdir(folder)).toEqual([]);
});

test("training that diverges stops at a step, keeps the last good checkpoint and exits with an error", async () => {
  const folder = await prepared();
  const run = lockstep(train("--learning-rate", "1e30", "--name", "wild"), folder);
  const { code, stderr } = await run.finished;
  expect(code).toBe(1);
  expect(stderr).toMatch(/step \d+/);
  expect(stderr).toContain("LOSS_NOT_FINITE");
  expect(await readdir(join(folder, "runs", "wild", "checkpoints"))).toHaveLength(1);
});

test("a damaged checkpoint is named and the one before is used", async () => {
  const folder = await prepared();
  await writeFile(
    join(folder, "job.yaml"),
    "data: { idx: digits }\nepochs: 4\nbatch: 30\ncheckpoint: { everySteps: 10 }\n",
  );
  const whole = await lockstep(["train", "job.yaml", "--name", "whole", ...asEvents], folder).result();
  // A run's last checkpoint is always written; of those before it a disk that is slower than the steps gets only some.
  await lockstep(["train", "job.yaml", "--name", "part", "--epochs", "3", ...asEvents], folder).result();
  await lockstep(["train", "--resume", "part", "--epochs", "4", ...asEvents], folder).result();
  const checkpoints = join(folder, "runs", "part", "checkpoints");
  const newest = (await readdir(checkpoints)).sort().pop()!;
  await writeFile(join(checkpoints, newest), "not a checkpoint");
  const resumed = lockstep(["train", "--resume", "part", ...asEvents], folder);
  const warning = await resumed.event("warning");
  expect(warning.code).toBe("CHECKPOINT_DAMAGED");
  expect(warning.message).toContain(newest);
  expect((await resumed.event("listening")).resumedAt).toBe(30);
  expect((await resumed.result()).parametersSha256).toBe(whole.parametersSha256);
}, 60_000);
