/** A Lockstep process that keeps when each of its events was seen here, to measure the time between them. */
import { createInterface } from "node:readline";
import type { RunEvent } from "../../coordinator/events.ts";
import { eventIn, Lockstep } from "../support/lockstep-process.ts";

type Type = RunEvent["type"];
type EventOf<Kind extends Type> = Extract<RunEvent, { type: Kind }>;

interface Seen<Event extends RunEvent = RunEvent> {
  readonly event: Event;
  /** By this process's clock, in milliseconds. */
  readonly at: number;
  readonly index: number;
}

const isOf = <Kind extends Type>(type: Kind, seen: Seen): seen is Seen<EventOf<Kind>> => seen.event.type === type;

export class TimedProcess extends Lockstep {
  readonly #seen: Seen[] = [];
  #watchers: (() => void)[] = [];
  #ended = false;

  constructor(args: readonly string[], environment = {}) {
    super("coordinator/cli/main.ts", args, undefined, environment);
    createInterface({ input: this.process.stdout! }).on("line", (line) => {
      const event = eventIn(line);
      if (event === undefined) return;
      this.#seen.push({ event, at: performance.now(), index: this.#seen.length });
      this.#wake();
    });
    void this.finished.then(() => {
      this.#ended = true;
      this.#wake();
    });
  }

  /** The first event of a type from the `from`th event on. Rejects with what the process said if it ends before. */
  async next<Kind extends Type>(
    type: Kind,
    from: number,
    matches: (event: EventOf<Kind>) => boolean = () => true,
  ): Promise<Seen<EventOf<Kind>>> {
    for (let index = from; ; index++) {
      while (index >= this.#seen.length) {
        if (this.#ended) throw new Error(`the process ended before ${type}:\n${(await this.finished).error}`);
        await new Promise<void>((resolve) => this.#watchers.push(resolve));
      }
      const seen = this.#seen[index]!;
      if (isOf(type, seen) && matches(seen.event)) return seen;
    }
  }

  #wake(): void {
    const watchers = this.#watchers;
    this.#watchers = [];
    for (const watcher of watchers) watcher();
  }
}
