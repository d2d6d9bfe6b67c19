/** `lockstep train`: coordinator and local workers in one command. */
import type { Command } from "commander";
import { addRunOptions, type RunFlags } from "./options.ts";

const examples = `
Examples:
  lockstep train                                   the classic 784-64-10 network on MNIST, two workers
  lockstep train --workers 4 --epochs 3 --name quick
  lockstep train lockstep.yaml --seed 2            a config file, with another seed
  lockstep train --data ./digits --layers 784,128,10
  lockstep train --resume quick                    go on where the run quick stopped

Ctrl-C writes a checkpoint and stops; a second Ctrl-C ends at once.`;

export function addTrain(program: Command): void {
  addRunOptions(program.command("train").description("train a network with worker processes on this machine"))
    .option("--workers <number>", "local worker processes; any number gives the same result (2)")
    .option("--threads <number>", "compute threads of each local worker (1)")
    .addHelpText("after", examples)
    .action(async (file: string | undefined, flags: RunFlags) => {
      const { plannedRun, runToEnd } = await import("./session.ts");
      const planned = await plannedRun(file, flags);
      await runToEnd(planned, flags, planned.config.workers);
    });
}
