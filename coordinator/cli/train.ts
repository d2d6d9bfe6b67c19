/** `lockstep train`: coordinator and local workers in one command. */
import type { Command } from "commander";
import { addLogOptions, addRunOptions, type RunFlags } from "./options.ts";

const examples = `
Examples:
  lockstep train                                   the classic 784-64-10 network on MNIST, two workers
  lockstep train --workers 4 --epochs 3 --name quick
  lockstep train lockstep.yaml --seed 2            a config file, with another seed
  lockstep train --data ./digits --layers 784,128,10
  lockstep train --epochs 1 --trace                what each thread does when: runs/mnist-1/trace.json
  lockstep train --resume quick                    go on where the run quick stopped

Ctrl-C writes a checkpoint and stops; a second Ctrl-C ends at once.`;

export function addTrain(program: Command): void {
  const command = program.command("train").description("train a network with worker processes on this machine");
  addLogOptions(addRunOptions(command), "pretty")
    .option("--workers <number>", "local worker processes; any number gives the same result (2)")
    .option("--threads <number>", "compute threads of each local worker (1)")
    .addHelpText("after", examples)
    .action(async (file: string | undefined, flags: RunFlags) => {
      const { runCommand } = await import("./session.ts");
      await runCommand("train", file, flags);
    });
}
