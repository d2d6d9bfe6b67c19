#!/usr/bin/env node
/**
 * The worker process: `node worker/main.ts ws://HOST:PORT [--threads N] [--name NAME] [--patience SECONDS]
 * [--token-file FILE] [--tls-ca FILE] [--tls-cert FILE --tls-key FILE] [--log FORMAT] [--log-level LEVEL]`.
 * It ends with its run. Started by a coordinator (with an IPC channel) it also ends when that process is gone, and
 * leaves Ctrl-C, and a terminal that is closed, to it. Exit code 1: an error, told; 2: a mistake in what
 * it was given; 0: the run is over or the worker was asked to leave.
 */
import { hostname } from "node:os";
import { parseArgs } from "node:util";
import { systemClock } from "../shared/clock.ts";
import { LockstepError } from "../shared/errors.ts";
import { exitCodeOf } from "../shared/exit-code.ts";
import { logSettings, openLog } from "../shared/log.ts";
import type { Log, LogSettings } from "../shared/log.ts";
import { hasTerminal } from "../shared/terminal.ts";
import { compileSooner, tuneGarbageCollection } from "../shared/v8.ts";
import { readTls } from "../shared/tls.ts";
import { readToken } from "../shared/token.ts";
import { version } from "../shared/version.ts";
import { coordinatorAddress } from "../shared/address.ts";
import { connect } from "./client.ts";
import { ComputePool } from "../shared/compute/pool.ts";
import { dataOf } from "./data.ts";
import { WorkerRuntime } from "./runtime.ts";

const options = {
  threads: { type: "string", default: "1" },
  name: { type: "string", default: `${hostname()}-${process.pid}` },
  patience: { type: "string", default: "300" },
  "token-file": { type: "string" },
  "tls-ca": { type: "string" },
  "tls-cert": { type: "string" },
  "tls-key": { type: "string" },
  log: { type: "string" },
  "log-level": { type: "string" },
} as const;

function whole(option: string, text: string): number {
  const number = Number(text);
  if (Number.isInteger(number) && number >= 1 && number <= 100_000) return number;
  throw new LockstepError("CONFIG_INVALID", `--${option} is "${text}"`, "give a whole number from 1 on");
}

const isChild = process.send !== undefined;
const toTerminal: LogSettings = { format: "pretty", level: "info" };
const outputs = { out: process.stdout, err: process.stderr };

type Flags = ReturnType<typeof flagsOf>["values"];
const flagsOf = () => parseArgs({ options, allowPositionals: true });

/** Of a worker that a coordinator started only the error that ended it is read, and passed on as a sentence. */
function settingsOf({ log, "log-level": logLevel }: Flags): LogSettings {
  if (isChild) return toTerminal;
  return logSettings({ log, logLevel }, process.env, process.stdout.isTTY ? "pretty" : "json");
}

async function work(values: Flags, url: string, { say }: Log): Promise<void> {
  tuneGarbageCollection();
  const address = coordinatorAddress(url);
  const threads = whole("threads", values.threads);
  const token = readToken(values["token-file"], process.env);
  const files = { ca: values["tls-ca"], cert: values["tls-cert"], key: values["tls-key"] };
  const tls = readTls(files, new Date());
  const leaving = new AbortController();
  const source = { address, tls, token, signal: leaving.signal };
  const runtime = new WorkerRuntime({
    settings: { name: values.name, version, threads, patience: 1000 * whole("patience", values.patience), token },
    clock: systemClock,
    connect: (listener) => connect(address, tls, listener),
    async openPool(plan, isApart) {
      const pool = await ComputePool.open(plan, threads, isApart, () => dataOf(plan, source, process.env, say));
      compileSooner({ well: plan.isLong && isApart });
      return pool;
    },
    random: Math.random,
    say,
  });
  const leave = (): void => {
    leaving.abort();
    runtime.leave();
  };
  process.on("SIGTERM", leave);
  process.on("SIGINT", () => isChild || leave());
  // A terminal that is closed; without one the work goes on, as under nohup, whose wish Node does not keep.
  process.on("SIGHUP", () => isChild || !hasTerminal || leave());
  process.on("disconnect", leave);
  await runtime.finished;
}

// Whoever reads the log may go away, as in `lockstep worker … | head`; the work goes on.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});
let log = await openLog(toTerminal, "worker", outputs);
try {
  const { values, positionals } = flagsOf();
  log = await openLog(settingsOf(values), values.name, outputs, `worker ${values.name}: `);
  await work(values, positionals[0] ?? "", log);
  process.exitCode = 0;
} catch (error) {
  log.end(error);
  process.exitCode = exitCodeOf(error);
}
// With a coordinator's channel open the process would stay for ever.
if (process.connected) process.disconnect();
