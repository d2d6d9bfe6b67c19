/** Schedules of real kills, as tables: who, when, how; whatever the schedule, the run ends in the undisturbed run's bits. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { temporaryFolder } from "../support/files.ts";
import { asEvents, lockstep, worker } from "../support/lockstep.ts";
import type { Lockstep } from "../support/lockstep.ts";
import { freePort } from "../support/ports.ts";
import { writeMnistPart } from "../support/mnist.ts";

type Who = "coordinator" | "a" | "b";

interface Fault {
  /** When so many steps are taken. */
  readonly at: number;
  readonly who: Who;
  /** `kill`: SIGKILL and a new process; `freeze`: SIGSTOP, and SIGCONT three seconds later. */
  readonly how: "kill" | "freeze";
}

const schedules: Readonly<Record<string, readonly Fault[]>> = {
  "a worker, twice": [
    { at: 60, who: "a", how: "kill" },
    { at: 200, who: "a", how: "kill" },
  ],
  "the coordinator": [{ at: 130, who: "coordinator", how: "kill" }],
  "the coordinator twice, a worker between": [
    { at: 80, who: "coordinator", how: "kill" },
    { at: 150, who: "b", how: "kill" },
    { at: 220, who: "coordinator", how: "kill" },
  ],
  everyone: [
    { at: 100, who: "a", how: "kill" },
    { at: 101, who: "b", how: "kill" },
    { at: 102, who: "coordinator", how: "kill" },
  ],
  "a frozen worker, and the coordinator while it is frozen": [
    { at: 70, who: "a", how: "freeze" },
    { at: 71, who: "coordinator", how: "kill" },
  ],
};

const job = `
data: { idx: data }
runs: RUNS
model: { layers: [{ dense: { units: 24, activation: relu } }, { dense: 10 }] }
optimizer: { adam: { learningRate: 0.002 } }
batch: 60
shards: 5
epochs: 8
checkpoint: { everySteps: 15 }
`;

/** A coordinator and two workers, of which any can be replaced by a new process. */
class Cluster {
  readonly #config: string;
  readonly #name: string;
  readonly #port: number;
  readonly #processes: Record<Who, Lockstep>;

  constructor(config: string, name: string, port: number) {
    this.#config = config;
    this.#name = name;
    this.#port = port;
    this.#processes = { coordinator: this.#coordinator(), a: this.#worker("a"), b: this.#worker("b") };
  }

  get coordinator(): Lockstep {
    return this.#processes.coordinator;
  }

  /** The same command every time, as a supervisor gives it. */
  #coordinator(): Lockstep {
    const where = ["--name", this.#name, "--port", `${this.#port}`, "--continue"];
    return lockstep(["coordinator", this.#config, ...where, ...asEvents]);
  }

  #worker(name: string): Lockstep {
    return worker([`ws://127.0.0.1:${this.#port}`, "--name", name]);
  }

  async apply({ at, who, how }: Fault): Promise<void> {
    await this.coordinator.event("step", ({ step }) => step >= at);
    const victim = this.#processes[who];
    if (how === "freeze") {
      victim.process.kill("SIGSTOP");
      setTimeout(() => victim.process.kill("SIGCONT"), 3_000);
      return;
    }
    victim.killAll();
    await victim.finished;
    this.#processes[who] = who === "coordinator" ? this.#coordinator() : this.#worker(who);
  }
}

test.each(Object.entries(schedules))(
  "%s",
  async (name, faults) => {
    const folder = await temporaryFolder();
    const config = join(folder, "job.yaml");
    await writeMnistPart(join(folder, "data"), 2_003, 300);
    await writeFile(config, job.replace("RUNS", join(folder, "runs")));
    const undisturbed = await lockstep(["train", config, "--name", "undisturbed", ...asEvents]).result();

    const cluster = new Cluster(config, "disturbed", await freePort());
    for (const fault of faults) await cluster.apply(fault);
    const { parametersSha256, testLoss, steps } = await cluster.coordinator.result();
    expect({ parametersSha256, testLoss, steps }, name).toEqual({
      parametersSha256: undisturbed.parametersSha256,
      testLoss: undisturbed.testLoss,
      steps: undisturbed.steps,
    });
  },
  300_000,
);
