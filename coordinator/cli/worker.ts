/**
 * `lockstep worker`: becomes the worker program, which lies beside the coordinator's and is never imported by it. Where the
 * system can replace a process it does, so that signals, exit code and `kill -9` reach the worker itself.
 */
import { spawn } from "node:child_process";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import { LockstepError } from "../../shared/errors.ts";
import type { LogFlags } from "../../shared/log.ts";
import { withHugePages } from "../../shared/memory/huge-pages.ts";
import { shown } from "../config/problems.ts";
import { addLogOptions } from "./options.ts";

interface WorkerFlags extends LogFlags {
  readonly threads?: string;
  readonly name?: string;
  readonly patience?: string;
  readonly tokenFile?: string;
  readonly tlsCa?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
}

const examples = `
Examples:
  lockstep worker ws://127.0.0.1:7000
  lockstep worker ws://trainer.example:7000 --threads 4 --name big-machine
  lockstep worker wss://trainer.example:7000 --token-file join.token --tls-ca ca.pem

Start as many as you like, before or during the run; the coordinator prints its address.`;

/** worker/main.ts in development, worker/main.js in the package. */
const workerProgram = fileURLToPath(new URL(`../../worker/main${extname(import.meta.url)}`, import.meta.url));

export function addWorker(program: Command): void {
  const command = program
    .command("worker")
    .description("compute for the coordinator at an address")
    .argument("<address>", "ws://HOST:PORT or wss://HOST:PORT, as the coordinator prints it")
    .option("--threads <number>", "compute threads (1)")
    .option("--name <name>", "shown by the coordinator (host name and process id)")
    .option("--patience <seconds>", "how long to try to reach a coordinator that does not answer (300)")
    .option("--token-file <file>", "file with the run's join token (the variable LOCKSTEP_TOKEN)")
    .option("--tls-ca <file>", "certificate (PEM) of the CA that the coordinator's must lead to (those Node knows)")
    .option("--tls-cert <file>", "this worker's certificate (PEM), for coordinators that want one")
    .option("--tls-key <file>", "key (PEM) of that certificate");
  addLogOptions(command, "pretty on a terminal, else json")
    .addHelpText("after", examples)
    .action(async (address: string, flags: WorkerFlags) => {
      if (flags.name !== undefined) await checkName(flags.name);
      const options = Object.entries(flags).flatMap(([name, value]) => [`--${dashed(name)}`, String(value)]);
      await becomeWorker([...process.execArgv, workerProgram, address, ...options]);
    });
}

/** A coordinator would refuse the name too, but not say what to do. */
async function checkName(name: string): Promise<void> {
  const { LONGEST_WORKER_NAME, ONE_LINE } = await import("../../shared/protocol/validate.ts");
  if (name !== "" && name.length <= LONGEST_WORKER_NAME && ONE_LINE.test(name)) return;
  throw new LockstepError(
    "CONFIG_INVALID",
    `--name: found ${shown(name)}, expected one line of 1 to ${LONGEST_WORKER_NAME} characters, without tabs`,
    "Leave it out for the host's name and the process id.",
  );
}

/** tokenFile → token-file */
const dashed = (name: string): string => name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

async function becomeWorker(words: readonly string[]): Promise<void> {
  const env = withHugePages(process.env);
  if (process.execve !== undefined && process.platform !== "win32")
    process.execve(process.execPath, [process.execPath, ...words], env);
  const child = spawn(process.execPath, words, { stdio: "inherit", env });
  process.exitCode = await new Promise<number>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => resolve(code ?? 1));
  });
}
