/** What `lockstep doctor` makes of the facts it found: one verdict a check, and what to do about those that are not well. */
import type { LockstepError } from "../../shared/errors.ts";
import { bytes, plural } from "./format.ts";
import type { Probed } from "./probe.ts";

export interface Facts {
  readonly lockstep: string;
  readonly node: string;
  /** The engine's name, or why it does not run. */
  readonly engine: string | Error;
  /** Why the kernels do not load; undefined where they do. */
  readonly kernels: Error | undefined;
  readonly cores: number;
  /** Bytes, within the limit that the system or a container sets. */
  readonly memory: { readonly total: number; readonly available: number; readonly limited: boolean };
  readonly sharesMemory: boolean;
  /** The folder of the runs, or the one it would be made in; or why that cannot be written to. */
  readonly disk: { readonly folder: string; readonly free: number | Error };
  /** Absent where none was asked for. */
  readonly coordinator?: { readonly address: string; readonly answered: Answered | LockstepError } | undefined;
}

interface Answered {
  readonly roundTrip: number;
  /** Seconds the coordinator's clock is ahead of this machine's; absent where it does not tell. */
  readonly ahead?: number;
}

export interface Verdict {
  readonly state: "ok" | "warning" | "failure";
  readonly check: string;
  readonly found: string;
  readonly todo?: string;
}

const SCARCE_MEMORY = 500e6;
const SCARCE_DISK = 1e9;
/** Not even the checkpoints of a small network fit. */
const FULL_DISK = 10e6;
/** Seconds; a date is cut to whole ones. */
const CLOCK_TOLERANCE = 2;

const REINSTALL = "install again with npm ci, on the system and processor it is to run on";

export function diagnose(facts: Facts): Verdict[] {
  const { coordinator } = facts;
  return [
    { state: "ok", check: "versions", found: `Lockstep ${facts.lockstep}, Node ${facts.node}` },
    engine(facts.engine),
    facts.kernels === undefined
      ? { state: "ok", check: "kernels", found: "those of sums and updates load" }
      : failure("kernels", facts.kernels.message, REINSTALL),
    facts.cores > 1
      ? { state: "ok", check: "cores", found: plural(facts.cores, "core") }
      : warning("cores", "1 core", "workers take turns on it: start one here, and others on other machines"),
    memory(facts.memory),
    facts.sharesMemory
      ? { state: "ok", check: "shared memory", found: "processes of this machine share memory" }
      : warning(
          "shared memory",
          "processes of this machine cannot share memory: sums go over sockets, more slowly",
          "on Linux, make /dev/shm writable and larger (docker run --shm-size); elsewhere there is none",
        ),
    disk(facts.disk),
    ...(coordinator === undefined ? [] : reached(coordinator)),
  ];
}

const warning = (check: string, found: string, todo: string): Verdict => ({ state: "warning", check, found, todo });
const failure = (check: string, found: string, todo: string): Verdict => ({ state: "failure", check, found, todo });

function engine(found: Facts["engine"]): Verdict {
  if (typeof found === "string") return { state: "ok", check: "engine", found: `${found} runs a program` };
  return failure("engine", found.message, REINSTALL);
}

function memory({ total, available, limited }: Facts["memory"]): Verdict {
  const found = `${bytes(available)} of ${bytes(total)} available${limited ? " (a cgroup's limit)" : ""}`;
  if (available >= SCARCE_MEMORY) return { state: "ok", check: "memory", found };
  return warning(
    "memory",
    found,
    limited ? "raise the limit, or start fewer workers here" : "start fewer workers here",
  );
}

function disk({ folder, free }: Facts["disk"]): Verdict {
  if (typeof free !== "number") {
    return failure(
      "disk",
      `${folder}: ${free.message}`,
      "let this user write there, or give another folder: --runs FOLDER",
    );
  }
  const found = `${bytes(free)} free in ${folder}`;
  const todo = "free some, or put the runs on another disk: --runs FOLDER";
  if (free < FULL_DISK) return failure("disk", found, todo);
  return free < SCARCE_DISK ? warning("disk", found, todo) : { state: "ok", check: "disk", found };
}

function reached({ address, answered }: NonNullable<Facts["coordinator"]>): Verdict[] {
  if (answered instanceof Error) {
    return [failure("coordinator", answered.message, answered.hint)];
  }
  const found = `${address} does its work; an answer takes ${answered.roundTrip.toFixed(1)} ms (median)`;
  const { ahead } = answered;
  return [{ state: "ok", check: "coordinator", found }, ...(ahead === undefined ? [] : [clock(ahead)])];
}

function clock(ahead: number): Verdict {
  const apart = Math.abs(ahead);
  if (apart <= CLOCK_TOLERANCE) {
    return { state: "ok", check: "clock", found: "the coordinator's agrees with this machine's" };
  }
  const side = ahead > 0 ? "ahead of" : "behind";
  return warning(
    "clock",
    `the coordinator's is ${apart.toFixed(0)} s ${side} this machine's: times in logs differ, certificates may seem invalid`,
    "let both machines set their clocks from the network (NTP)",
  );
}

/** Out of several answers; `now` is this machine's clock when the last had come. */
export function answeredOf(probed: readonly Probed[], now: number): Answered {
  const times = probed.map(({ took }) => took).toSorted((left, right) => left - right);
  const roundTrip = times[Math.floor(times.length / 2)]!;
  const { date } = probed.at(-1)!;
  if (date === undefined) return { roundTrip };
  // What is certain: a date is up to a second behind the clock it is read from.
  const apart = date - now;
  return { roundTrip, ahead: (Math.max(0, apart) + Math.min(0, apart + 1000)) / 1000 };
}
