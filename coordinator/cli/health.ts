/** `lockstep health`: whether a coordinator does its work, for the health checks of containers. */
import { get as plainGet } from "node:http";
import { get as tlsGet } from "node:https";
import type { Command } from "commander";
import { LockstepError } from "../../shared/errors.ts";

interface HealthFlags {
  readonly ready?: boolean;
  readonly tlsCa?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
}

const examples = `
Examples:
  lockstep health ws://127.0.0.1:7000              exit code 0: the coordinator does its work; 1: it does not
  lockstep health ws://127.0.0.1:7000 --ready      whether it also takes workers`;

/** A probe that waits longer than this has its answer; milliseconds. */
const PATIENCE = 5_000;

export function addHealth(program: Command): void {
  program
    .command("health")
    .description("ask a coordinator whether it does its work: exit code 0 or 1, for health checks")
    .argument("<address>", "ws://HOST:PORT or wss://HOST:PORT of a coordinator")
    .option("--ready", "ask whether it takes workers")
    .option("--tls-ca <file>", "certificate (PEM) of the CA that the coordinator's must lead to (those Node knows)")
    .option("--tls-cert <file>", "certificate (PEM) for coordinators that want one")
    .option("--tls-key <file>", "key (PEM) of that certificate")
    .addHelpText("after", examples)
    .action(async (address: string, flags: HealthFlags) => {
      const { coordinatorAddress } = await import("../../shared/address.ts");
      const { readTls } = await import("../../shared/tls.ts");
      const url = coordinatorAddress(address);
      const tls = readTls({ ca: flags.tlsCa, cert: flags.tlsCert, key: flags.tlsKey }, new Date());
      const secure = url.protocol === "wss:";
      const path = new URL(flags.ready === true ? "/readyz" : "/healthz", url);
      path.protocol = secure ? "https:" : "http:";
      const status = await new Promise<number>((resolve, reject) => {
        const sent = (secure ? tlsGet : plainGet)(path, { ...tls, timeout: PATIENCE, agent: false }, (answer) => {
          answer.resume();
          resolve(answer.statusCode ?? 0);
        });
        sent.once("timeout", () => sent.destroy(new Error(`no answer within ${PATIENCE / 1000} s`)));
        sent.once("error", (cause) => reject(unreachable(url, cause.message, { cause })));
      });
      if (status !== 200) throw unreachable(url, `it answered with HTTP status ${status}`);
      process.stdout.write("ok\n");
    });
}

const unreachable = ({ host }: URL, reason: string, options?: ErrorOptions): LockstepError =>
  new LockstepError("COORDINATOR_UNREACHABLE", `${host}: ${reason}`, "look at the coordinator's log", options);
