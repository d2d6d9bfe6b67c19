/** A real Lockstep process, started through the command line and watched through the events in its log. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { RunEvent, RunResult } from "../../coordinator/events.ts";

const file = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));

/** Flags with which a run tells all its events, each step too, as the classes here read them. */
export const asEvents = ["--log", "json", "--log-level", "debug"] as const;

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** The error that ended it, as people read it: from the standard error, or from the log. */
  readonly error: string;
}

/** The event in a line of a log, without what the log adds to it; undefined in one that is no JSON. */
export function eventIn(line: string): RunEvent | undefined {
  if (!line.startsWith("{")) return undefined;
  const { time: _time, level: _level, name: _name, msg: _msg, ...event } = JSON.parse(line) as Record<string, unknown>;
  return event as RunEvent;
}

/** What a process that has ended said. */
export function finished(code: number | null, stdout: string, stderr: string): Finished {
  const fatal = stdout.split("\n").find((line) => line.startsWith('{"level":"fatal"'));
  if (fatal === undefined) return { code, stdout, stderr, error: stderr };
  const { msg, hint } = JSON.parse(fatal) as { msg: string; hint: string };
  return { code, stdout, stderr, error: `error: ${msg}\n  what to do: ${hint}\n` };
}

/** A process has a group of its own, which Ctrl-C does not reach: it is ended with the one that started it. */
const running = new Set<Lockstep>();
process.on("exit", () => running.forEach((each) => each.killAll()));

/** One running process of Lockstep. */
export class Lockstep {
  readonly process: ChildProcess;
  readonly finished: Promise<Finished>;
  readonly events: RunEvent[] = [];
  #watchers: (() => void)[] = [];

  constructor(
    program: "coordinator/cli/main.ts" | "worker/main.ts" | `test/${"support" | "examples"}/${string}`,
    args: readonly string[],
    cwd?: string,
    environment = {},
    /** A command that runs the command behind it in its own place, such as `ip netns exec NAME`. */
    prefix: readonly string[] = [],
  ) {
    // Sentences, as on a terminal, unless a test wants events.
    const env = { ...process.env, LOCKSTEP_LOG: "pretty", ...environment };
    const [command, ...words] = [...prefix, process.execPath, file(program), ...args];
    // A group, so that a test can kill a command with everything it started.
    this.process = spawn(command!, words, { detached: true, cwd, env });
    running.add(this);
    let stdout = "";
    let stderr = "";
    this.process.stderr!.on("data", (text: Buffer) => (stderr += text.toString()));
    createInterface({ input: this.process.stdout! }).on("line", (line) => {
      stdout += `${line}\n`;
      const event = eventIn(line);
      if (event !== undefined) this.events.push(event);
      this.#wake();
    });
    this.finished = new Promise((resolve) => {
      this.process.on("close", (code) => {
        running.delete(this);
        resolve(finished(code, stdout, stderr));
        this.#wake();
      });
    });
  }

  /** Waits for an event; rejects with what the process said if it ends before. */
  async event<Type extends RunEvent["type"]>(
    type: Type,
    matches: (event: Extract<RunEvent, { type: Type }>) => boolean = () => true,
  ): Promise<Extract<RunEvent, { type: Type }>> {
    for (;;) {
      const found = this.events.find(
        (event): event is Extract<RunEvent, { type: Type }> =>
          event.type === type && matches(event as Extract<RunEvent, { type: Type }>),
      );
      if (found !== undefined) return found;
      if (this.process.exitCode !== null || this.process.signalCode !== null) {
        const { stdout, stderr } = await this.finished;
        throw new Error(`the process ended before ${type}:\n${stdout.slice(-2000)}\n${stderr}`);
      }
      await new Promise<void>((resolve) => this.#watchers.push(resolve));
    }
  }

  #wake(): void {
    const watchers = this.#watchers;
    this.#watchers = [];
    for (const watcher of watchers) watcher();
  }

  /** The result of a run that ends well. */
  async result(): Promise<RunResult> {
    return (await this.event("finished")).result;
  }

  /** The process ids of its children (Linux). */
  children(): number[] {
    const { pid } = this.process;
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8");
    return text.split(" ").filter(Boolean).map(Number);
  }

  /** SIGKILL to the process and everything it started. */
  killAll(): void {
    try {
      process.kill(-this.process.pid!, "SIGKILL");
    } catch {
      // It has ended already.
    }
  }
}
