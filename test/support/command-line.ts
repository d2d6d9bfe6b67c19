/** The command lines of the test programs: help, and mistakes told without a stack. */
import { parseArgs } from "node:util";
import type { ParseArgsOptionsConfig } from "node:util";

type Values<Options extends ParseArgsOptionsConfig> = ReturnType<typeof parseArgs<{ options: Options }>>["values"];

/** The options' values. With --help the process prints `help`, which begins with the command, and ends; so it does at a mistake. */
export function optionsFrom<Options extends ParseArgsOptionsConfig>(help: string, options: Options): Values<Options> {
  if (process.argv.slice(2).includes("--help")) {
    console.log(help);
    process.exit(0);
  }
  try {
    return parseArgs({ options }).values;
  } catch (error) {
    return mistake(help, (error as Error).message);
  }
}

/** Ends with what is wrong with the command line. */
export function mistake(help: string, sentence: string): never {
  const command = /^npm run \S+/.exec(help)![0];
  console.error(`error: ${sentence}\n  what to do: ${command} -- --help`);
  process.exit(2);
}
