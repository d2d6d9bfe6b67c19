/** `lockstep health`: whether a coordinator does its work, for the health checks of containers. */
import type { Command } from "commander";
import { addProbeOptions } from "./options.ts";
import type { ProbeFlags } from "./options.ts";

const examples = `
Examples:
  lockstep health ws://127.0.0.1:7000              exit code 0: the coordinator does its work; 1: it does not
  lockstep health ws://127.0.0.1:7000 --ready      whether it also takes workers`;

export function addHealth(program: Command): void {
  const command = program
    .command("health")
    .description("ask a coordinator whether it does its work: exit code 0 or 1, for health checks")
    .argument("<address>", "ws://HOST:PORT or wss://HOST:PORT of a coordinator")
    .option("--ready", "ask whether it takes workers");
  addProbeOptions(command)
    .addHelpText("after", examples)
    .action(async (address: string, flags: ProbeFlags & { ready?: boolean }) => {
      const { probeOf } = await import("./probe.ts");
      await probeOf(address, flags)(flags.ready === true ? "/readyz" : "/healthz", 1);
      process.stdout.write("ok\n");
    });
}
