/** `lockstep coordinator`: a run whose workers are started elsewhere. */
import type { Command } from "commander";
import { addLogOptions, addRunOptions, type RunFlags } from "./options.ts";

const examples = `
Examples:
  lockstep coordinator --port 7000                 then, in other terminals: lockstep worker ws://127.0.0.1:7000
  lockstep coordinator lockstep.yaml --host 0.0.0.0 --port 7000 --token-file join.token
  lockstep coordinator --host 0.0.0.0 --token-file join.token --tls-cert server.pem --tls-key server.key
  lockstep coordinator --resume mnist-1 --port 7000
  lockstep coordinator job.yaml --name nightly --port 7000 --continue    under a supervisor that restarts it`;

export function addCoordinator(program: Command): void {
  const command = program
    .command("coordinator")
    .description("coordinate a run whose workers are started by hand, here or on other machines");
  addLogOptions(addRunOptions(command), "pretty on a terminal, else json")
    .addHelpText("after", examples)
    .action(async (file: string | undefined, flags: RunFlags) => {
      const { runCommand } = await import("./session.ts");
      await runCommand("coordinator", file, flags);
    });
}
