/** Many light workers in few processes, as one thing that can be told to start, leave and kill some of them. */
import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import type { HostCommand, HostReply } from "./host.ts";

interface Host {
  readonly process: ChildProcess;
  /** Of the workers in it. */
  readonly names: Set<string>;
}

export class Fleet {
  /** What workers ended with that ended neither in good order nor because they were killed. */
  readonly failures: string[] = [];
  /** Rejects when a process ends that nobody ended: what waits for its workers would wait for ever. */
  readonly broken: Promise<never>;
  readonly #url: string;
  readonly #hosts: Host[];
  readonly #breakWith: (error: Error) => void;
  #started = 0;

  /** @param url the coordinator's address */
  constructor(url: string, processes: number) {
    this.#url = url;
    const { promise, reject } = Promise.withResolvers<never>();
    [this.broken, this.#breakWith] = [promise, reject];
    this.#hosts = Array.from({ length: processes }, () => this.#startHost());
  }

  /** Of the workers that were started and neither ended nor were asked to. */
  get names(): string[] {
    return this.#hosts.flatMap(({ names }) => [...names]);
  }

  /** The ids of the processes. */
  get pids(): number[] {
    return this.#hosts.map(({ process }) => process.pid!);
  }

  /** Starts workers, in the processes that hold the fewest, and returns their names. */
  start(count: number): string[] {
    const names = Array.from({ length: count }, (_, index) => `light-${this.#started + index + 1}`);
    this.#started += count;
    const commands = new Map<Host, string[]>();
    for (const name of names) {
      const host = this.#hosts.reduce((fewest, each) => (each.names.size < fewest.names.size ? each : fewest));
      host.names.add(name);
      commands.set(host, [...(commands.get(host) ?? []), name]);
    }
    for (const [host, some] of commands) this.#tell(host, "start", some);
    return names;
  }

  /** Has workers leave in good order. */
  leave(names: readonly string[]): void {
    this.#end("leave", names);
  }

  /** Has workers vanish without a word. */
  kill(names: readonly string[]): void {
    this.#end("kill", names);
  }

  /** Kills a process with all workers in it and starts an empty one in its place. Returns how many there were. */
  killProcess(): number {
    const [host] = this.#hosts.splice(0, 1, this.#startHost());
    host!.process.kill("SIGKILL");
    return host!.names.size;
  }

  /** Memory in use in all processes together once all garbage is collected, in bytes. */
  async measure(): Promise<number> {
    const bytes = await Promise.all(this.#hosts.map(measure));
    return bytes.reduce((sum, each) => sum + each, 0);
  }

  /** Ends all processes. */
  async close(): Promise<void> {
    const running = this.#hosts.filter(({ process }) => process.exitCode === null && process.signalCode === null);
    const ended = running.map(({ process }) => new Promise((resolve) => process.once("exit", resolve)));
    for (const { process } of running) process.kill("SIGKILL");
    await Promise.all(ended);
  }

  #startHost(): Host {
    const host: Host = { process: fork(new URL("./host.ts", import.meta.url)), names: new Set() };
    host.process.on("message", (reply: HostReply) => {
      if (reply.type !== "ended") return;
      host.names.delete(reply.name);
      if (reply.error !== undefined) this.failures.push(`${reply.name}: ${reply.error}`);
    });
    host.process.on("exit", (code, signal) => {
      // Nobody else ends a host.
      if (signal !== "SIGKILL") this.#breakWith(new Error(`a process of workers ended with ${code ?? signal}`));
    });
    return host;
  }

  #end(type: "leave" | "kill", names: readonly string[]): void {
    for (const host of this.#hosts) {
      const here = names.filter((name) => host.names.delete(name));
      if (here.length > 0) this.#tell(host, type, here);
    }
  }

  #tell(host: Host, type: "start" | "leave" | "kill", names: readonly string[]): void {
    host.process.send({ type, url: this.#url, names } satisfies HostCommand);
  }
}

function measure({ process }: Host): Promise<number> {
  return new Promise((resolve, reject) => {
    const onReply = (reply: HostReply): void => {
      if (reply.type !== "measured") return;
      process.off("message", onReply).off("exit", onExit);
      resolve(reply.bytes);
    };
    const onExit = (): void => reject(new Error("a process of workers ended while it was measured"));
    process.on("message", onReply).on("exit", onExit);
    process.send({ type: "measure" } satisfies HostCommand);
  });
}
