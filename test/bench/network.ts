/**
 * Two machines with a link between them, as network namespaces: on the first a coordinator and a worker beside it, on the second
 * a worker; against PyTorch with a process on each. Every byte between the machines passes links of a gigabit a second each way.
 * The machines share this one's processor.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { asEvents } from "../support/lockstep-process.ts";
import { INTERFACE, Network, whyNoHosts } from "../support/namespaces.ts";
import type { Benchmark } from "./benchmark.ts";
import { peerProgram } from "./ddp.ts";
import { shown, spread } from "./measure.ts";
import { lastLine, outputOf } from "./peer.ts";
import type { PeerRound } from "./peer.ts";
import { pythonWithTorch } from "./python.ts";
import { versus } from "./versus.ts";
import { configOf, warmUpOf } from "./workloads.ts";
import type { Workload } from "./workloads.ts";

const MACHINES = ["one", "two"] as const;
type Machine = (typeof MACHINES)[number];

const KILOBITS = 1_000_000;
/** Kilobytes: a gigabit a second for four milliseconds. */
const BURST = 512;
const PORT = 7_000;
const token = { LOCKSTEP_TOKEN: "a-token-for-two-machines" };

/** Has something done on two machines, which are gone afterwards. */
async function onMachines<Result>(action: (network: Network<Machine>) => Promise<Result>): Promise<Result> {
  const network = new Network(MACHINES);
  try {
    for (const machine of MACHINES) network.slow(machine, KILOBITS, BURST);
    return await action(network);
  } finally {
    network.close();
  }
}

interface Round {
  readonly millisecondsAStep: number;
  readonly loss: number;
  /** What a step takes from the second machine to the first, and back. */
  readonly megabytesAStep: readonly [number, number];
}

function lockstep(workload: Workload): Promise<Round> {
  return onMachines(async (network) => {
    const folder = await mkdtemp(join(tmpdir(), "lockstep-bench-"));
    try {
      const config = join(folder, "job.json");
      await writeFile(config, JSON.stringify(configOf(workload, folder, { name: "job", minWorkers: MACHINES.length })));
      const address = network.addressOf("one");
      const place = ["--host", address, "--port", `${PORT}`];
      const coordinator = network.start(
        "one",
        "coordinator/cli/main.ts",
        ["coordinator", config, ...place, ...asEvents],
        token,
      );
      await coordinator.event("listening");
      for (const machine of MACHINES)
        network.start(machine, "worker/main.ts", [`ws://${address}:${PORT}`, "--name", machine], token);
      await coordinator.event("step", ({ step }) => step === warmUpOf(workload));
      const [began, before] = [performance.now(), network.traffic("two")];
      const { loss } = await coordinator.event("step", ({ step }) => step === workload.steps);
      const [ended, after] = [performance.now(), network.traffic("two")];
      const aStep = (most: number, least: number): number => (most - least) / (workload.steps - warmUpOf(workload));
      const megabytesAStep = [
        aStep(after.sent, before.sent) / 1e6,
        aStep(after.received, before.received) / 1e6,
      ] as const;
      return { millisecondsAStep: aStep(ended, began), loss, megabytesAStep };
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
}

function pytorch(python: string, workload: Workload): Promise<PeerRound> {
  return onMachines(async (network) => {
    const meeting = ["--master-addr", network.addressOf("one"), "--master-port", `${PORT}`];
    const outputs = MACHINES.map((machine, rank) => {
      const launch = ["--nnodes", `${MACHINES.length}`, "--node-rank", `${rank}`, "--nproc-per-node", "1", ...meeting];
      const [command, ...words] = [...network.prefixOf(machine), python, "-m", "torch.distributed.run", ...launch];
      return outputOf(command!, [...words, ...peerProgram(workload)], { GLOO_SOCKET_IFNAME: INTERFACE });
    });
    // The first process alone prints what was measured.
    const [output] = await Promise.all(outputs);
    return lastLine(output!) as PeerRound;
  });
}

export const network: Benchmark = {
  about: "two machines and a link of 1 Gbit/s, as network namespaces (root, ip, tc), against PyTorch on the same",
  workloads: ["M"],
  others: ["S", "L", "C", "T"],
  run(options) {
    const reason = whyNoHosts();
    if (reason !== undefined) throw new Error(`machines need root and the commands ip, tc and iptables: ${reason}`);
    const python = pythonWithTorch(options.python);
    const ours = { name: "Lockstep", how: "a coordinator and a worker, a worker", round: lockstep };
    const peer = python !== undefined && {
      name: "PyTorch",
      how: "DDP, gloo, a process on each",
      round: (workload: Workload) => pytorch(python, workload),
    };
    return versus(options, ours, peer || undefined, async (_, rounds) => {
      const [out, back] = [0, 1].map((way) => shown(spread(rounds.map((round) => round.megabytesAStep[way]!))));
      return {
        lines: [`  a step sends ${out} MB of gradients over the link, and ${back} MB of parameters back`],
        facts: {},
      };
    });
  },
};
