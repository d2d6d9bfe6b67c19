/**
 * Every example of test/examples in a short form, with real processes: 1 and 2 workers, and 3 of which one is killed, end in the
 * same bits. `npm run examples` runs this file.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { temporaryFolder } from "../support/files.ts";
import { asEvents, lockstep, program } from "../support/lockstep.ts";
import type { Lockstep } from "../support/lockstep.ts";
import { writeMnistPart } from "../support/mnist.ts";

const examples = fileURLToPath(new URL("../examples", import.meta.url));
const names = readdirSync(examples).filter((name) => /\.(yaml|ts)$/.test(name));

/** Epochs of the short form: some hundred light steps or some dozens of heavy ones. */
const epochs: Readonly<Record<string, number>> = { "mnist-cnn.yaml": 1, "mnist-dense.yaml": 1 };
const usual = (name: string): number => (name.startsWith("iris-") || name.endsWith(".ts") ? 60 : 2);

interface Place {
  readonly runs: string;
  readonly digits: string;
}

/** Starts an example; those on all of MNIST get a part of it. */
function start(name: string, { runs, digits }: Place, run: string, workers: number): Lockstep {
  const short = epochs[name] ?? usual(name);
  if (name.endsWith(".ts"))
    return program(`test/examples/${name}`, [JSON.stringify({ runs, name: run, workers, epochs: short })]);
  const { data } = parse(readFileSync(join(examples, name), "utf8")) as { data?: unknown };
  const part = data === undefined || data === "mnist" ? ["--data", digits] : [];
  const flags = ["--runs", runs, "--name", run, "--workers", `${workers}`, "--epochs", `${short}`, ...part];
  return lockstep(["train", join(examples, name), ...asEvents, ...flags]);
}

test.each(names)(
  "%s",
  async (name) => {
    const place = { runs: await temporaryFolder(), digits: await temporaryFolder() };
    await writeMnistPart(place.digits, 3_000, 500);
    const { parametersSha256, testLoss } = await start(name, place, "one", 1).result();
    expect(await start(name, place, "two", 2).result()).toMatchObject({ parametersSha256, testLoss });
    const disturbed = start(name, place, "killed", 3);
    await disturbed.event("step");
    process.kill(disturbed.children()[0]!, "SIGKILL");
    await disturbed.event("worker-lost");
    expect(await disturbed.result()).toMatchObject({ parametersSha256, testLoss });
  },
  300_000,
);
