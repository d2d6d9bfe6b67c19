/** A coordinator and three workers, each on a host of its own; the hosts are gone when the running test ends. */
import { onTestFinished } from "vitest";
import type { RunEvent } from "../../coordinator/events.ts";
import { asEvents } from "./lockstep-process.ts";
import type { Lockstep } from "./lockstep-process.ts";
import { Network } from "./namespaces.ts";

export const workers = ["a", "b", "c"] as const;
export type Worker = (typeof workers)[number];

const PORT = 7_000;
const token = { LOCKSTEP_TOKEN: "correct-horse-battery-staple" };

export class ClusterOnHosts {
  readonly network = new Network<"coordinator" | Worker>(["coordinator", ...workers]);
  readonly #config: string;
  readonly #flags: readonly string[];
  #coordinator: Lockstep;

  /** Starts everyone; `kilobits` a second pass each worker's link, each way. @param flags more of the coordinator's */
  constructor(config: string, kilobits: number, flags: readonly string[] = []) {
    onTestFinished(() => this.network.close());
    this.#config = config;
    this.#flags = flags;
    this.#coordinator = this.#coordinate();
    for (const name of workers) {
      this.network.slow(name, kilobits);
      this.network.start(name, "worker/main.ts", [`ws://${this.#address}:${PORT}`, "--name", name], token);
    }
  }

  get coordinator(): Lockstep {
    return this.#coordinator;
  }

  get #address(): string {
    return this.network.addressOf("coordinator");
  }

  /** The same command every time, as a supervisor gives it. */
  #coordinate(): Lockstep {
    const where = ["--name", "disturbed", "--host", this.#address, "--port", `${PORT}`, "--continue"];
    const args = ["coordinator", this.#config, ...where, ...this.#flags, ...asEvents];
    return this.network.start("coordinator", "coordinator/cli/main.ts", args, token);
  }

  /** SIGKILL, and a new process. Returns the step that it goes on from. */
  async replaceCoordinator(): Promise<number | undefined> {
    this.#coordinator.killAll();
    await this.#coordinator.finished;
    this.#coordinator = this.#coordinate();
    return (await this.#coordinator.event("listening")).resumedAt;
  }

  /** So many steps are taken. */
  async taken(steps: number): Promise<void> {
    await this.#coordinator.event("step", ({ step }) => step >= steps);
  }

  /** They have joined, after so many events of the coordinator. */
  async joined(those: readonly Worker[], since = 0): Promise<void> {
    const { events } = this.#coordinator;
    const isNew = (event: RunEvent): boolean => events.indexOf(event) >= since;
    for (const worker of those)
      await this.#coordinator.event("worker-joined", (event) => event.worker === worker && isNew(event));
  }

  /** They are given up, and the run goes on without them, or waits where nobody is left. */
  async lost(those: readonly Worker[]): Promise<void> {
    for (const lost of those) await this.#coordinator.event("worker-lost", ({ worker }) => worker === lost);
    if (those.length === workers.length) await this.#coordinator.event("waiting", ({ workers }) => workers === 0);
    else await this.taken(this.#coordinator.events.findLast((event) => event.type === "step")!.step + 1);
  }
}
