/** A command on a pseudo-terminal, with the keys that a person presses: through `script` of util-linux. */
import { spawn, spawnSync } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { stripVTControlCharacters } from "node:util";
import { onTestFinished } from "vitest";

const program = fileURLToPath(new URL("../../coordinator/cli/main.ts", import.meta.url));

const script = "script";
/** The escape code in front of each drawing of the bar. */
const toFirstColumn = "\u001B[1G";

/** Whether this machine has the `script` that the options below are for. */
export const hasScript = spawnSync(script, ["--version"]).stdout?.includes("util-linux") ?? false;

/** The process ids of everything a process has started (Linux). */
function descendants(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8");
  const children = text.split(" ").filter(Boolean).map(Number);
  return children.flatMap((child) => [child, ...descendants(child)]);
}

/** Empty for a process that has ended. */
function commandLineOf(pid: number): string {
  const file = `/proc/${pid}/cmdline`;
  return existsSync(file) ? readFileSync(file, "utf8") : "";
}

/** Whether a process is a worker of Lockstep. */
const isWorker = (pid: number): boolean => commandLineOf(pid).includes("worker/main.ts");

export class Terminal {
  readonly finished: Promise<number | null>;
  /** Everything written so far, escape codes included. */
  raw = "";
  readonly #process: ChildProcess;
  #watchers: (() => void)[] = [];

  /**
   * `lockstep WORDS` in `folder`, on a terminal of so many columns; 0 as where nobody told it its size.
   * @param behind what stands behind it on the command line, such as a pipe
   */
  constructor(words: readonly string[], folder: string, columns: number, behind = "") {
    const command = [process.execPath, program, ...words].map((word) => `'${word}'`).join(" ");
    const start = behind === "" ? `exec ${command}` : `${command} ${behind}`;
    const options = ["-qec", `stty cols ${columns}; ${start}`, "/dev/null"];
    this.#process = spawn(script, options, { cwd: folder, stdio: ["pipe", "pipe", "inherit"] });
    this.#process.stdout!.setEncoding("utf8").on("data", (text: string) => {
      this.raw += text;
      for (const watcher of this.#watchers.splice(0)) watcher();
    });
    this.finished = new Promise((resolve) => {
      this.#process.on("close", (code) => {
        resolve(code);
        for (const watcher of this.#watchers.splice(0)) watcher();
      });
    });
    // The terminal goes with it, and the hang-up ends what runs on it.
    onTestFinished(() => void this.#process.kill("SIGKILL"));
  }

  /** What a person reads: drawings of the bar stand one behind the other. */
  get text(): string {
    return stripVTControlCharacters(this.raw.replaceAll(toFirstColumn, "\n")).replaceAll("\r", "");
  }

  /** Waits until the text matches. */
  async shows(pattern: RegExp): Promise<void> {
    while (!pattern.test(this.text)) {
      if (this.#process.exitCode !== null) throw new Error(`it ended without ${pattern}:\n${this.text}`);
      await new Promise<void>((resolve) => this.#watchers.push(resolve));
    }
  }

  interrupt(): void {
    this.#process.stdin!.write("\u0003");
  }

  /** The process that the command runs as. */
  get coordinator(): number {
    return descendants(this.#process.pid!).find(
      (pid) => !isWorker(pid) && commandLineOf(pid).split("\0")[1] === program,
    )!;
  }

  /** As a window that is closed. */
  close(): void {
    this.#process.kill("SIGKILL");
  }

  /** Freezes the local workers, until the test ends, and returns how many. */
  freezeWorkers(): number {
    const workers = descendants(this.#process.pid!).filter(isWorker);
    const signal = (name: NodeJS.Signals): void => workers.filter(isWorker).forEach((pid) => process.kill(pid, name));
    onTestFinished(() => signal("SIGKILL"));
    signal("SIGSTOP");
    return workers.length;
  }
}
