/** The schedule of a seed: up to 8 workers (for 5 shards), of which one may lie, and up to 9 faults. */
import { unreachable } from "../../shared/errors.ts";
import { randomStream } from "../../shared/random.ts";
import { COORDINATOR } from "./schedule.ts";
import type { Fault, Schedule, WorkerPart } from "./schedule.ts";

/** Undisturbed, a simulation takes three to ten seconds. */
const FAULTS_WITHIN = 5_000;
/** How likely each fault is. */
const weights: Record<Fault["kind"], number> = {
  kill: 2,
  "kill coordinator": 2,
  stop: 1,
  abandon: 1,
  hold: 1,
  save: 1,
  leave: 1,
  pause: 2,
  jump: 1,
  drop: 1,
  "half-open": 2,
  partition: 1,
  slow: 1,
  "slow link": 1,
  duplicate: 1,
  damage: 1,
  disk: 2,
};
const kinds = (Object.keys(weights) as Fault["kind"][]).flatMap((kind) =>
  Array.from({ length: weights[kind] }, () => kind),
);

/** Random choices, in the order they are asked for. */
class Dice {
  readonly #uniform: (index: number) => number;
  #thrown = 0;

  constructor(seed: number) {
    this.#uniform = randomStream(seed, "simulation").uniform;
  }

  happens(probability: number): boolean {
    this.#thrown += 1;
    return this.#uniform(this.#thrown) < probability;
  }

  whole(least: number, most: number): number {
    this.#thrown += 1;
    return least + Math.floor(this.#uniform(this.#thrown) * (most - least + 1));
  }

  oneOf<Choice>(...choices: readonly Choice[]): Choice {
    return choices[this.whole(0, choices.length - 1)]!;
  }

  /** Milliseconds: within the deadlines, near them, and beyond. */
  duration(): number {
    return this.oneOf(this.whole(10, 300), this.whole(300, 3_000), this.whole(3_000, 40_000));
  }
}

export function scheduleOf(seed: number): Schedule {
  const dice = new Dice(seed);
  const count = dice.whole(1, 8);
  const workers = Array.from({ length: count }, (_, index): WorkerPart => ({
    name: `worker-${index + 1}`,
    threads: dice.oneOf(1, 1, 2, 3),
    pace: dice.oneOf(10, 40, 40, 150),
    joinsAt: index === 0 || dice.happens(0.7) ? 0 : dice.whole(0, 4_000),
  }));
  const minWorkers = Math.min(count, dice.oneOf(1, 1, 1, 2, 3));
  // One that lies counts as gone, and there must be enough others: two to outvote it if nobody else can tell.
  const referee = dice.happens(0.5);
  const lies = minWorkers >= 2 && count > minWorkers && dice.happens(0.7) ? dice.oneOf("bit", "nan") : undefined;
  const liar = dice.whole(0, count - 1);
  if (lies !== undefined) workers[liar] = { ...workers[liar]!, lies };
  // One of a name is no second opinion on the other: a run that waits for one would wait for a third worker.
  if (minWorkers === 1 && count > 1 && dice.happens(0.3)) workers[1] = { ...workers[1]!, joinsAs: workers[0]!.name };
  const audit = lies === "bit" ? 1 : dice.oneOf(0, 0, 0.3, 1);
  const drawn = new FaultDraw(dice, workers, count - minWorkers - (lies === undefined ? 0 : 1));
  const faults: Fault[] = [];
  for (let left = dice.whole(1, 9); left > 0; left--) {
    const last = faults.at(-1);
    const next = drawn.next();
    // What fails again while it recovers is what finds bugs: half of the faults follow closely on another.
    faults.push(last === undefined || dice.happens(0.5) ? next : { ...next, at: last.at + dice.whole(0, 600) });
  }
  faults.sort((left, right) => left.at - right.at);
  return { seed, minWorkers, checkpointSteps: dice.oneOf(1, 2, 3, 5), audit, referee, workers, faults };
}

class FaultDraw {
  readonly #dice: Dice;
  readonly #names: readonly string[];
  /** How many workers may still go for ever. */
  #spare: number;
  readonly #gone = new Set<string>();

  constructor(dice: Dice, workers: readonly WorkerPart[], spare: number) {
    this.#dice = dice;
    this.#names = workers.map(({ name }) => name);
    this.#spare = spare;
  }

  next(): Fault {
    const dice = this.#dice;
    const at = dice.whole(0, FAULTS_WITHIN);
    const who = dice.oneOf(...this.#names);
    const anyone = dice.happens(0.3) ? COORDINATOR : who;
    const kind = dice.oneOf(...kinds);
    switch (kind) {
      case "kill":
        return { at, kind, who, ...this.#back(who), silently: dice.happens(0.3) };
      case "kill coordinator":
        return { at, kind, back: dice.duration(), silently: dice.happens(0.3) };
      case "stop":
      case "abandon":
        return { at, kind, back: dice.duration() };
      case "hold":
        return { at, kind, for: dice.duration() };
      case "save":
        return { at, kind };
      case "leave":
        return { at, kind, who, ...this.#back(who) };
      case "pause":
        return { at, kind, who: anyone, for: dice.duration() };
      case "jump":
        return { at, kind, who: anyone, by: dice.duration() };
      case "drop":
        return { at, kind, who };
      case "half-open":
        return { at, kind, who, mute: dice.oneOf("worker", "coordinator", "both") };
      case "partition":
        return { at, kind, who: this.#names.filter(() => dice.happens(0.6)), for: dice.duration() };
      case "slow":
      case "slow link":
      case "duplicate":
      case "damage":
        return { at, kind, who, for: dice.duration() };
      case "disk":
        return { at, kind, how: dice.oneOf("loses", "tears", "fails"), for: dice.duration() };
      default:
        return unreachable(kind);
    }
  }

  /** Most come back; enough for the minimum do. */
  #back(name: string): { back?: number } {
    if (this.#spare === 0 || this.#gone.has(name) || this.#dice.happens(0.7)) return { back: this.#dice.duration() };
    this.#spare -= 1;
    this.#gone.add(name);
    return {};
  }
}
