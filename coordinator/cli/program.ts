/** The command line as a whole: its commands, and how its own errors end the process. */
import { ignoreHangUpsWithoutTerminal } from "./interrupt.ts";
import { Command, CommanderError } from "commander";
import { LockstepError } from "../../shared/errors.ts";
import { version } from "../../shared/version.ts";
import { addCoordinator } from "./coordinator.ts";
import { addDashboard } from "./dashboard.ts";
import { addDoctor } from "./doctor.ts";
import { addEvaluate } from "./evaluate.ts";
import { addHealth } from "./health.ts";
import { addInit } from "./init.ts";
import { addPredict } from "./predict.ts";
import { addScale } from "./scale.ts";
import { addToken } from "./token.ts";
import { addTrain } from "./train.ts";
import { addWorker } from "./worker.ts";

export function buildProgram(): Command {
  const program = new Command("lockstep")
    .description(
      "Trains neural networks data-parallel over processes and machines, with the same bits however many take part.",
    )
    .version(version)
    .exitOverride()
    .showHelpAfterError("  what to do: add --help for all options, with examples")
    .addHelpText("after", "\nlockstep COMMAND --help explains a command, with examples. To begin: lockstep train");
  const commands = [
    addTrain,
    addCoordinator,
    addWorker,
    addEvaluate,
    addPredict,
    addScale,
    addDashboard,
    addInit,
    addToken,
    addHealth,
    addDoctor,
  ];
  for (const add of commands) add(program);
  return program;
}

/** Runs one command; resolves to the exit code. Rejects with the command's error. */
export async function runCommandLine(words: readonly string[]): Promise<number> {
  ignoreHangUpsWithoutTerminal();
  checkWorkingFolder();
  // A reader that goes away, as in `lockstep train | head`, must not end the training, nor a log on a full disk.
  let lost = false;
  process.stdout.on("error", ({ code }: NodeJS.ErrnoException) => {
    if (code === "EPIPE" || lost) return;
    lost = true;
    process.stderr.write(`warning: cannot write to the standard output: ${code} [DISK_FAILED]\n`);
  });
  // Where it goes to the same log there is nobody left to tell.
  process.stderr.on("error", () => {});
  try {
    await buildProgram().parseAsync(words, { from: "user" });
    return lost ? 1 : Number(process.exitCode ?? 0);
  } catch (error) {
    // Commander has printed its message already.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    throw error;
  }
}

/** A shell stays in a folder that has been removed, where no path leads anywhere. Throws DISK_FAILED. */
function checkWorkingFolder(): void {
  try {
    process.cwd();
  } catch (cause) {
    throw new LockstepError(
      "DISK_FAILED",
      "the folder that this was started in is not there any more",
      "Change to one that is, with cd; also where another has its name by now.",
      { cause },
    );
  }
}
