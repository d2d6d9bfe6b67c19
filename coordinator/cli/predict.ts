/** `lockstep predict`: what a trained network says about one image, one text or one row of values. */
import type { Command } from "commander";
import type { Answer } from "../trained/evaluate.ts";
import type { OpenedData } from "../../shared/data/open.ts";

const examples = `
Examples:
  lockstep predict mnist-1 --input digit.png       an image of a digit, dark on light or light on dark
  lockstep predict photos-1 --input photo.png      an image as those in the folders it was trained on
  lockstep predict flowers-1 --input flower.csv    a row of values
  lockstep predict novel-1 --input so-far.txt      what follows a text
  lockstep predict mnist-1 --input digit.png --json

A row of values is a .csv, .txt or .json file with the values of one sample, without header and target, in the unit of the
training data (0 to 255 for pixels).`;

/** Of so many classes all are shown; of more, the likeliest. */
const MOST_CLASSES = 20;

interface PredictFlags {
  readonly input: string;
  readonly runs: string;
  readonly json?: boolean;
}

export function addPredict(program: Command): void {
  program
    .command("predict")
    .usage("<run> --input <file> [options]")
    .description("class probabilities for an image, a text or a row of values")
    .argument("<run>", "the run's name or folder")
    .requiredOption("--input <file>", "image (.png), text (.txt) or row of values (.csv, .txt, .json)")
    .option("--runs <folder>", "folder of run folders", "runs")
    .option("--json", "print one JSON object")
    .addHelpText("after", examples)
    .action(async (wanted: string, flags: PredictFlags) => {
      const { predict } = await import("../trained/evaluate.ts");
      const { findRun } = await import("../run-folder/find.ts");
      const { loadTrained } = await import("../trained/trained.ts");
      const { readSample } = await import("../../shared/data/sample.ts");
      const trained = await loadTrained(findRun(wanted, flags.runs), (error) =>
        process.stderr.write(`warning: ${error.message}\n`),
      );
      // Of the data only its form is asked.
      trained.data.close();
      const answer = await predict(trained, await readSample(flags.input, trained.data), flags.input);
      process.stdout.write(
        `${flags.json === true ? JSON.stringify(inJson(answer, trained.data)) : inWords(answer, trained.data)}\n`,
      );
    });
}

/** What of the training data the answer is about. */
type About = Pick<OpenedData, "classNames"> & { readonly train: Pick<OpenedData["train"], "target"> };

/** The likeliest class first, of a sequence at its last position; other outputs in their order. */
export function inWords(answer: Answer, about: About): string {
  const positions = positionsOf(answer, about);
  if (positions === undefined) return Array.from(answer.values, (value) => `${answer.output} ${value}`).join("\n");
  const ranked = Array.from(positions[positions.length - 1]!, (value, index) => ({ value, index }));
  ranked.sort((left, right) => right.value - left.value);
  const digits = String(ranked.length - 1).length;
  const lines = ranked.slice(0, MOST_CLASSES).map(({ value, index }) => {
    const name = about.classNames === undefined ? "" : `  ${about.classNames[index]}`;
    return `${String(index).padStart(digits)} ${scoreOf(value, answer)}${name}`;
  });
  const others = ranked.length - lines.length;
  return [...lines, ...(others === 0 ? [] : [`(${others} others are less likely; --json shows all)`])].join("\n");
}

/** What a loss of one's own predicts need not be probabilities. */
const scoreOf = (value: number, { output }: Answer): string =>
  output === "probabilities" ? `${(100 * value).toFixed(2).padStart(6)} %` : value.toPrecision(4).padStart(10);

/** All values, of a sequence a list for each position; and what the classes are called. */
export function inJson(answer: Answer, about: About): Record<string, unknown> {
  const positions = positionsOf(answer, about)?.map((values) => [...values]);
  const isSequence = about.train.target.kind === "class" && about.train.target.positions !== undefined;
  if (positions === undefined) return { [answer.output]: [...answer.values] };
  const names = about.classNames === undefined ? {} : { classes: about.classNames };
  return { [answer.output]: isSequence ? positions : positions[0], ...names };
}

/** The scores of the classes, at each position where there are several; undefined where the answer holds something else. */
function positionsOf({ values }: Answer, { train: { target } }: About): Float32Array[] | undefined {
  if (target.kind !== "class") return undefined;
  const { classes, positions = 1 } = target;
  if (values.length !== positions * classes) return undefined;
  return Array.from({ length: positions }, (_, at) => values.subarray(at * classes, (at + 1) * classes));
}
