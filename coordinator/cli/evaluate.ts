/** `lockstep evaluate`: a trained network's figures on its test data. */
import type { Command } from "commander";

const examples = `
Examples:
  lockstep evaluate mnist-1                        a run by its name
  lockstep evaluate ./elsewhere/mnist-1 --json     or by its folder

A run that is not completed, or has gone on since, is evaluated at its newest checkpoint.`;

export function addEvaluate(program: Command): void {
  program
    .command("evaluate")
    .description(
      "evaluate a run's network on its test data, to the last bit of the run's own figures; where it held samples out, on the test data it did not use",
    )
    .argument("<run>", "the run's name or folder")
    .option("--runs <folder>", "folder of run folders", "runs")
    .option("--json", "print one JSON object")
    .addHelpText("after", examples)
    .action(async (wanted: string, flags: { runs: string; json?: boolean }) => {
      const { evaluate } = await import("../trained/evaluate.ts");
      const { findRun } = await import("../run-folder/find.ts");
      const { loadTrained } = await import("../trained/trained.ts");
      const { parametersSha256 } = await import("../../shared/memory/layout.ts");
      const { count, loss } = await import("./format.ts");
      const { verdict } = await import("./sentences.ts");
      const trained = await loadTrained(findRun(wanted, flags.runs), (error) =>
        process.stderr.write(`warning: ${error.message}\n`),
      );
      const evaluated = await evaluate(trained).finally(() => trained.data.close());
      const figures = { ...evaluated, parametersSha256: parametersSha256(trained.layout, trained.parameters) };
      const lines =
        flags.json === true
          ? [JSON.stringify({ run: trained.config.name, source: trained.source, ...figures })]
          : [
              `${trained.config.name}: ${trained.source}, ${count(evaluated.samples)} test samples`,
              ...(evaluated.testAccuracy === undefined ? [] : [`test loss ${loss(evaluated.testLoss)}`]),
              ...verdict(figures),
            ];
      process.stdout.write(`${lines.join("\n")}\n`);
    });
}
