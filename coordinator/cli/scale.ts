/** `lockstep scale`: one job at every point of a grid, measured, explained and extrapolated. */
import type { Command } from "commander";
import type { ScaleFlags } from "../scale/read.ts";
import { stopOnInterrupt } from "./interrupt.ts";

const examples = `
Examples:
  lockstep scale                                   the classic network with 1, 2 and 4 workers on this machine
  lockstep scale --workers 1,2,4,8 --batch 128,512 --layers 784,1024,1024,10
  lockstep scale --target 0.97 --linear-scaling --batch 64,256    time and steps to 97 % of the test data
  lockstep scale experiment.yaml

An experiment is a file like this one; every line may be left out:

  job: lockstep.yaml              # a config as of \`lockstep train\`, or its keys below \`job:\`
  workers: [1, 2, 4]
  threads: [1]
  shards: [8]
  batch: [128]
  repeat: 3                       # runs of each point; medians are reported
  steps: 300                      # timed steps of a run
  target: 0.97                    # or train until this accuracy on the test data
  linearScaling: false            # learning rate in proportion to the batch
  out: scaling                    # folder for results.json, results.csv and the plots (SVG)`;

export function addScale(program: Command): void {
  program
    .command("scale")
    .description("measure a job with several numbers of workers, explain where the time goes, predict 1,024 workers")
    .argument("[experiment]", "experiment file (YAML); flags win over it")
    .option("--job <config>", "config file of what is trained, as for `lockstep train`")
    .option("--workers <list>", "numbers of worker processes (1,2,4)")
    .option("--threads <list>", "compute threads of each worker (the job's)")
    .option("--shards <list>", "parts a minibatch is cut into (the job's)")
    .option("--batch <list>", "samples in a minibatch over all workers (the job's)")
    .option("--repeat <number>", "runs of each point (3)")
    .option("--steps <number>", "timed steps of a run (300)")
    .option("--target <accuracy>", "train until this accuracy on the test data, from 0 to 1")
    .option("--linear-scaling", "learning rate in proportion to the batch")
    .option("--out <folder>", "folder for results.json, results.csv and the plots (scaling)")
    .option("--data <source>", "data of the job, as for `lockstep train`")
    .option("--layers <sizes>", "dense layers of the job, as in 784,64,10")
    .option("--optimizer <name>", "optimizer of the job")
    .option("--learning-rate <number>", "learning rate of the job")
    .option("--epochs <number>", "passes over the data, at most, with --target")
    .option("--seed <number>", "seed of the job")
    .option("--json", "print one JSON object, and nothing else")
    .addHelpText("after", examples)
    .action(async (file: string | undefined, flags: ScaleFlags & { readonly json?: boolean }) => {
      const { readExperiment } = await import("../scale/read.ts");
      const { jobTitle, measureAll, prepareFolder, reportOf, writeResults } = await import("../scale/run.ts");
      const experiment = readExperiment(file, flags);
      const say = (sentence: string): void => void process.stderr.write(`${sentence}\n`);
      const title = await jobTitle(experiment);
      await prepareFolder(experiment);
      say(`${title}: results go to ${experiment.out}`);
      const interrupt = new AbortController();
      const release = stopOnInterrupt(() => {
        say("stopping: what has been measured so far is reported (Ctrl-C again ends at once)");
        interrupt.abort();
      });
      const measured = await measureAll(experiment, say, interrupt.signal);
      release();
      if (measured.length === 0) return say("nothing has been measured yet: nothing is written");
      const { results, files } = await writeResults(experiment, title, measured);
      const lines =
        flags.json === true
          ? [JSON.stringify(results)]
          : ["", ...reportOf(results, experiment), "", `files: ${files.join(", ")}`];
      process.stdout.write(`${lines.join("\n")}\n`);
    });
}
