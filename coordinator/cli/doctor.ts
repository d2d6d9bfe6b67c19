/** `lockstep doctor`: whether this machine can train, and reach a coordinator; one line a check, and what to do. */
import type { Command } from "commander";
import { LockstepError } from "../../shared/errors.ts";
import type { Facts } from "./diagnosis.ts";
import { addProbeOptions } from "./options.ts";
import type { ProbeFlags } from "./options.ts";

const examples = `
Examples:
  lockstep doctor                                  check this machine
  lockstep doctor ws://trainer.example:7000        and how well it reaches that coordinator
  lockstep doctor --runs /data/runs                with the folder that the runs will be in

Exit code 1: something has failed. Warnings tell of what is slower than it could be, or may go wrong later.`;

/** Requests whose median time is told. */
const REQUESTS = 5;

export function addDoctor(program: Command): void {
  const command = program
    .command("doctor")
    .description("check this machine, and the way to a coordinator: what is well, what is not, what to do")
    .argument("[address]", "ws://HOST:PORT or wss://HOST:PORT of a coordinator")
    .option("--runs <folder>", "folder of run folders", "runs");
  addProbeOptions(command)
    .addHelpText("after", examples)
    .action(async (address: string | undefined, flags: ProbeFlags & { runs: string }) => {
      const { diagnose } = await import("./diagnosis.ts");
      const { factsOfThisMachine } = await import("./facts.ts");
      const { table } = await import("./table.ts");
      const coordinator = address === undefined ? undefined : await reach(address, flags);
      const verdicts = diagnose({ ...(await factsOfThisMachine(flags.runs)), coordinator });
      const rows = verdicts.map(({ state, check, found, todo }) => [
        state,
        check,
        todo === undefined ? found : `${found}; what to do: ${todo}`,
      ]);
      process.stdout.write(`${table(rows)}\n`);
      if (verdicts.some(({ state }) => state === "failure")) process.exitCode = 1;
    });
}

/** Throws ADDRESS_INVALID and TLS_INVALID; that nobody answers is a fact. */
async function reach(address: string, flags: ProbeFlags): Promise<Facts["coordinator"]> {
  const { answeredOf } = await import("./diagnosis.ts");
  const { probeOf } = await import("./probe.ts");
  const probe = probeOf(address, flags);
  try {
    const probed = await probe("/healthz", REQUESTS);
    return { address, answered: answeredOf(probed, Date.now()) };
  } catch (error) {
    if (error instanceof LockstepError) return { address, answered: error };
    throw error;
  }
}
