/**
 * `npm run bench -- [WHAT] [options]`: one benchmark, described by --help. Everything is measured in alternating rounds and
 * printed as medians with their spread; --json keeps every round, with the machine, the date and the versions.
 */
import { writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { parseArgs } from "node:util";
import { version } from "../../shared/version.ts";
import type { Benchmark, BenchmarkOptions } from "./benchmark.ts";
import { curves } from "./curves.ts";
import { ddp, sockets, transformer } from "./ddp.ts";
import { floor } from "./floor.ts";
import { growth } from "./growth.ts";
import { network } from "./network.ts";
import { operations } from "./operations.ts";
import { recovery } from "./recovery.ts";
import { shards } from "./shards.ts";
import { single } from "./single.ts";
import { tfjs } from "./tfjs.ts";
import { wire } from "./wire.ts";
import { titleOf, workloads } from "./workloads.ts";

const benchmarks: Readonly<Record<string, Benchmark>> = {
  single,
  ddp,
  sockets,
  transformer,
  network,
  curves,
  tfjs,
  operations,
  shards,
  recovery,
  wire,
  floor,
  growth,
};

const help = `npm run bench -- [WHAT] [options]

${Object.entries(benchmarks)
  .map(([name, { about }]) => `  ${name.padEnd(11)} ${about}`)
  .join("\n")}

Workloads:
${workloads.map((workload) => `  ${titleOf(workload)}, ${workload.steps} steps a round`).join("\n")}

Options:
  --rounds N       alternating rounds (5)
  --workers N      processes that compute (2)
  --only S,M       these workloads, where the benchmark has a choice
  --steps N        steps of a round, for a quick look
  --json FILE      every round's figures, with machine, date and versions
  --python FILE    ddp, sockets, transformer, network and curves: a Python that has PyTorch, instead of a virtual environment made here
  --svg FOLDER     growth: where its plots are written

Examples:
  npm run bench
  npm run bench -- ddp --only M --rounds 7 --json ddp.json
  npm run bench -- recovery`;

class Mistake extends Error {}

function whole(option: string, text: string): number {
  const number = Number(text);
  if (Number.isSafeInteger(number) && number >= 1) return number;
  throw new Mistake(`--${option} is "${text}", expected a whole number from 1 on`);
}

function read(
  words: readonly string[],
): { name: string; options: BenchmarkOptions; json: string | undefined } | "help" {
  const { values, positionals } = parseArgs({
    args: [...words],
    allowPositionals: true,
    options: {
      rounds: { type: "string", default: "5" },
      workers: { type: "string", default: "2" },
      only: { type: "string" },
      steps: { type: "string" },
      json: { type: "string" },
      python: { type: "string" },
      svg: { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return "help";
  const [name = "single", ...others] = positionals;
  const benchmark = Object.hasOwn(benchmarks, name) ? benchmarks[name] : undefined;
  if (benchmark === undefined || others.length > 0)
    throw new Mistake(`found "${positionals.join(" ")}", expected one of ${Object.keys(benchmarks).join(", ")}`);
  const able = [...benchmark.workloads, ...(benchmark.others ?? [])];
  const chosen = (values.only?.split(",") ?? benchmark.workloads).map((wanted) => {
    const workload = able.includes(wanted) ? workloads.find((candidate) => candidate.name === wanted) : undefined;
    if (workload === undefined)
      throw new Mistake(`--only ${wanted}: ${name} measures ${able.join(", ") || "no workloads that can be chosen"}`);
    return values.steps === undefined ? workload : { ...workload, steps: whole("steps", values.steps) };
  });
  const [rounds, workers] = [whole("rounds", values.rounds), whole("workers", values.workers)];
  const { python, svg, json } = values;
  return { name, options: { rounds, workers, workloads: chosen, python, svg }, json };
}

async function main(): Promise<void> {
  const asked = read(process.argv.slice(2));
  if (asked === "help") {
    console.log(help);
    return;
  }
  const { name, options, json } = asked;
  const { rounds, workers } = options;
  const memory = `${Math.round(totalmem() / 2 ** 30)} GiB`;
  const machine = `${cpus()[0]!.model.trim()}, ${cpus().length} cores, ${memory}, ${process.platform}`;
  console.log(`${machine}; Lockstep ${version}, Node ${process.version}; ${rounds} rounds, median (min–max)\n`);
  const { versions, results } = await benchmarks[name]!.run(options);
  if (json === undefined) return;
  const facts = {
    benchmark: name,
    date: new Date().toISOString(),
    machine,
    versions: { lockstep: version, node: process.version, ...versions },
  };
  writeFileSync(json, `${JSON.stringify({ ...facts, rounds, workers, results }, null, 2)}\n`);
}

// Whatever runs for a benchmark is ended with it.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(130));
try {
  await main();
} catch (error) {
  const isMistake = error instanceof Mistake || (error as NodeJS.ErrnoException).code?.startsWith("ERR_PARSE_ARGS");
  console.error(isMistake ? `error: ${(error as Error).message}\n  what to do: npm run bench -- --help` : error);
  process.exitCode = isMistake ? 2 : 1;
}
