/**
 * `npm run accuracy`: trains the examples on MNIST with 2 worker processes and several seeds, to the accuracies that they are
 * there to show. What came of it is kept in results.json and in the README's table. Exit code 0 only where every aim is met.
 */
import { rmSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { duration } from "../../coordinator/cli/format.ts";
import { asEvents, Lockstep } from "../support/lockstep-process.ts";
import { aims, keep, readResults, tableOf } from "./results.ts";

const help = `npm run accuracy -- [options]

Options:
  --only EXAMPLE   ${aims.map(({ example }) => example).join(", ")} (all)
  --seeds 1,2      of each example (${aims[0].seeds.join(",")})

Examples:
  npm run accuracy                                        about ten minutes on 2 cores
  npm run accuracy -- --only mnist-cnn.yaml --seeds 3`;

const WORKERS = 2;

function read(): { jobs: { example: string; least: number; seed: number }[] } | undefined {
  const { values } = parseArgs({
    options: { only: { type: "string" }, seeds: { type: "string" }, help: { type: "boolean", default: false } },
  });
  if (values.help) return undefined;
  const seeds = values.seeds?.split(",").map(Number);
  const chosen = aims.filter(({ example }) => values.only === undefined || values.only === example);
  const jobs = chosen.flatMap(({ example, least, seeds: all }) =>
    all.filter((seed) => seeds === undefined || seeds.includes(seed)).map((seed) => ({ example, least, seed })),
  );
  if (jobs.length === 0) throw new TypeError("no example of that name with one of these seeds");
  return { jobs };
}

async function train(example: string, seed: number, runs: string): Promise<number> {
  const file = fileURLToPath(new URL(`../examples/${example}`, import.meta.url));
  const flags = ["--runs", runs, "--workers", `${WORKERS}`, "--seed", `${seed}`, ...asEvents];
  const run = new Lockstep("coordinator/cli/main.ts", ["train", file, ...flags]);
  const end = (): void => run.killAll();
  process.once("exit", end);
  const { testAccuracy, seconds, parametersSha256 } = await run.result();
  await run.finished;
  process.off("exit", end);
  const processor = cpus()[0]!.model.trim();
  const date = new Date().toISOString().slice(0, 10);
  keep({ example, seed, testAccuracy: testAccuracy!, seconds, workers: WORKERS, parametersSha256, processor, date });
  console.log(`${example}, seed ${seed}: ${(100 * testAccuracy!).toFixed(2)} % after ${duration(seconds)}`);
  return testAccuracy!;
}

async function main(): Promise<void> {
  const asked = read();
  if (asked === undefined) {
    console.log(help);
    return;
  }
  const runs = await mkdtemp(join(tmpdir(), "lockstep-accuracy-"));
  // However it ends, a signal included.
  process.once("exit", () => rmSync(runs, { recursive: true, force: true }));
  for (const { example, least, seed } of asked.jobs) {
    if ((await train(example, seed, runs)) >= least) continue;
    console.log(`  which misses the aim of ${(100 * least).toFixed(2)} %`);
    process.exitCode = 1;
  }
  console.log(`\n${tableOf(readResults())}`);
}

for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(130));
try {
  await main();
} catch (error) {
  const isMistake = error instanceof TypeError;
  console.error(isMistake ? `error: ${error.message}\n  what to do: npm run accuracy -- --help` : error);
  process.exitCode = isMistake ? 2 : 1;
}
