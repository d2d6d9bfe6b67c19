/** `lockstep predict`: what a trained network says about one image or one row of values. */
import type { Command } from "commander";

const examples = `
Examples:
  lockstep predict mnist-1 --input digit.png       an image of a digit, dark on light or light on dark
  lockstep predict flowers-1 --input flower.csv    a row of values
  lockstep predict mnist-1 --input digit.png --json

A row of values is a .csv, .txt or .json file with the numbers of one sample, without the target, in the unit of the
training data (0 to 255 for pixels).`;

interface PredictFlags {
  readonly input: string;
  readonly runs: string;
  readonly json?: boolean;
}

export function addPredict(program: Command): void {
  program
    .command("predict")
    .description("class probabilities for an image of a digit or for a row of values")
    .argument("<run>", "the run's name or folder")
    .requiredOption("--input <file>", "image (.png) or row of values (.csv, .txt, .json)")
    .option("--runs <folder>", "folder of run folders", "runs")
    .option("--json", "print one JSON object")
    .addHelpText("after", examples)
    .action(async (wanted: string, flags: PredictFlags) => {
      const { predict } = await import("../evaluate.ts");
      const { findRun } = await import("../run-folder/find.ts");
      const { loadTrained } = await import("../trained.ts");
      const { readSample } = await import("../../shared/data/sample.ts");
      const trained = await loadTrained(findRun(wanted, flags.runs), (error) =>
        process.stderr.write(`warning: ${error.message}\n`),
      );
      const { train, encode } = trained.data;
      const sample = await readSample(flags.input, train.sampleShape, train.stored === "uint8" ? 255 : 1, encode);
      const { output, values } = await predict(trained, sample);
      const classes = trained.data.train.target.kind === "class";
      process.stdout.write(
        `${flags.json === true ? JSON.stringify({ [output]: [...values] }) : answer(output, values, classes)}\n`,
      );
    });
}

/** Class probabilities with the likeliest first; other outputs in their order. */
export function answer(output: string, values: Float32Array, classes: boolean): string {
  const numbered = Array.from(values, (value, index) => ({ value, index }));
  if (!classes) return numbered.map(({ value }) => `${output} ${value}`).join("\n");
  numbered.sort((left, right) => right.value - left.value);
  const digits = String(values.length - 1).length;
  return numbered
    .map(({ value, index }) => `${String(index).padStart(digits)} ${(100 * value).toFixed(2).padStart(6)} %`)
    .join("\n");
}
