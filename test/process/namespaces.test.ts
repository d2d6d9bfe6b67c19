/**
 * Schedules of real network cuts between hosts, as tables: who, when, how, how long; whatever the schedule, the run ends in
 * the undisturbed run's bits. Hosts are network namespaces; where the system has none, every test is skipped and says why.
 */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { ClusterOnHosts, workers } from "../support/cluster-on-hosts.ts";
import type { Worker } from "../support/cluster-on-hosts.ts";
import { temporaryFolder } from "../support/files.ts";
import { asEvents, lockstep } from "../support/lockstep.ts";
import { writeMnistPart } from "../support/mnist.ts";
import { whyNoHosts } from "../support/namespaces.ts";
import { slicesIn } from "../support/trace-events.ts";

type Fault =
  | {
      /** When so many steps are taken. */
      readonly at: number;
      readonly who: readonly Worker[];
      readonly how: keyof typeof harms;
      /** When so many steps are taken, or when the coordinator has given up each of them. */
      readonly until: number | "lost";
    }
  /** SIGKILL, and a new process by the same command. */
  | { readonly at: number; readonly who: "coordinator"; readonly how: "kill" };

const schedules: Readonly<Record<string, readonly Fault[]>> = {
  "a worker is cut off": [{ at: 10, who: ["a"], how: "cut", until: "lost" }],
  "a worker hears nothing, and another is not heard": [
    { at: 10, who: ["a"], how: "deafen", until: "lost" },
    { at: 12, who: ["b"], how: "mute", until: "lost" },
  ],
  "all workers are cut off": [{ at: 10, who: ["a", "b", "c"], how: "cut", until: "lost" }],
  "a worker's link is slow": [{ at: 10, who: ["b"], how: "slow", until: 14 }],
  "a worker's interface goes down": [{ at: 10, who: ["c"], how: "unplug", until: "lost" }],
  "the coordinator is killed while a worker is cut off": [
    { at: 10, who: ["a"], how: "cut", until: 30 },
    { at: 12, who: "coordinator", how: "kill" },
  ],
};

/**
 * Kilobits a second of every worker's link, each way, until its schedule is over: a step's 25 KB of parameters take a tenth
 * of a second, so that on the fastest machine too the run of 408 steps outlasts the faults.
 */
const USUAL_RATE = 2_000;
const SLOW_RATE = 50;

const job = `
data: { idx: data }
runs: RUNS
model: { layers: [{ dense: { units: 8, activation: relu } }, { dense: 10 }] }
optimizer: { adam: { learningRate: 0.002 } }
batch: 60
shards: 5
epochs: 12
checkpoint: { everySteps: 5 }
`;

/** Begins a fault. What it returns ends it, and says how many packets each of its measures has met. */
type Harm = (network: ClusterOnHosts["network"], worker: Worker) => () => number[];

const deafen: Harm = (network, worker) => {
  network.drop("coordinator", worker);
  return () => [network.allow("coordinator", worker)];
};
const mute: Harm = (network, worker) => {
  network.drop(worker, "coordinator");
  return () => [network.allow(worker, "coordinator")];
};
const cut: Harm = (network, worker) => {
  const heals = [deafen(network, worker), mute(network, worker)];
  return () => heals.flatMap((heal) => heal());
};
const slow: Harm = (network, worker) => {
  network.unslow(worker);
  network.slow(worker, SLOW_RATE);
  return () => {
    const packets = network.unslow(worker);
    network.slow(worker, USUAL_RATE);
    return [packets];
  };
};
/** Nothing counts what an interface that is down doesn't carry; that its worker is lost shows it. */
const unplug: Harm = (network, worker) => {
  network.set(worker, "down");
  return () => {
    network.set(worker, "up");
    return [];
  };
};
const harms = { cut, deafen, mute, slow, unplug };

const reason = whyNoHosts();
if (reason !== undefined) console.warn(`schedules of network cuts are skipped: ${reason}`);

describe(`between hosts${reason === undefined ? "" : ` (skipped: ${reason})`},`, { skip: reason !== undefined }, () => {
  test.each(Object.entries(schedules))(
    "%s",
    async (name, faults) => {
      const folder = await temporaryFolder();
      const config = join(folder, "job.yaml");
      await writeMnistPart(join(folder, "data"), 2_003, 300);
      await writeFile(config, job.replace("RUNS", join(folder, "runs")));

      const cluster = new ClusterOnHosts(config, USUAL_RATE);
      await cluster.joined(workers);
      const open = [];
      const resumedAt: (number | undefined)[] = [];
      for (const fault of faults) {
        await cluster.taken(fault.at);
        if (fault.how === "kill") resumedAt.push(await cluster.replaceCoordinator());
        else open.push({ ...fault, heals: fault.who.map((worker) => harms[fault.how](cluster.network, worker)) });
      }
      for (const step of resumedAt) expect(step, "resumed at").toBeGreaterThan(0);
      // While deadlines pass, the machine has time for it.
      const undisturbed = lockstep(["train", config, "--name", "undisturbed", ...asEvents]);
      for (const { who, how, until, heals } of open) {
        await (until === "lost" ? cluster.lost(who) : cluster.taken(until));
        const before = cluster.coordinator.events.length;
        for (const packets of heals.flatMap((heal) => heal()))
          expect(packets, `packets met: ${how}`).toBeGreaterThan(0);
        // One that is only slow need not have left.
        if (how !== "slow") await cluster.joined(who, before);
      }
      for (const worker of workers) cluster.network.unslow(worker);

      const { parametersSha256, testLoss, steps, profile } = await cluster.coordinator.result();
      expect(profile.bytesShared, "bytes that went around the network").toBe(0);
      const expected = await undisturbed.result();
      expect({ parametersSha256, testLoss, steps }, name).toEqual({
        parametersSha256: expected.parametersSha256,
        testLoss: expected.testLoss,
        steps: expected.steps,
      });
    },
    300_000,
  );

  test("long parameters are sent ahead, also when a worker is cut off meanwhile", async () => {
    const folder = await temporaryFolder();
    const config = join(folder, "job.yaml");
    await writeMnistPart(join(folder, "data"), 2_003, 300);
    const wide = "[{ dense: 512 }, relu, { dense: 512 }, relu, { dense: 10 }]";
    // Long enough that who is silent for 15 s is missed before its end.
    const changed = job.replace(/layers: .* \}$/m, `layers: ${wide} }`).replace("epochs: 12", "epochs: 3");
    await writeFile(config, changed.replace("RUNS", join(folder, "runs")));

    const cluster = new ClusterOnHosts(config, 200_000, ["--trace"]);
    await cluster.joined(workers);
    await cluster.taken(20);
    const heal = cut(cluster.network, "a");
    await cluster.lost(["a"]);
    heal();
    const { parametersSha256 } = await cluster.coordinator.result();
    await cluster.coordinator.finished;
    const trace = await readFile(join(folder, "runs", "disturbed", "trace.json"), "utf8");
    const sent = slicesIn(trace)
      .get("coordinator, main")!
      .filter(({ name }) => name === "send");
    // Sent when a step is taken alone, parameters would be sent three times a step at most, once to each worker.
    expect(sent.length).toBeGreaterThan(4 * 102);
    const undisturbed = await lockstep(["train", config, "--name", "undisturbed", ...asEvents]).result();
    expect(parametersSha256).toBe(undisturbed.parametersSha256);
  }, 300_000);
});
