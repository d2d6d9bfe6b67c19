/** Against PyTorch's DistributedDataParallel over gloo: the same network, batch, optimiser, data, processes and threads. */
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import type { TrainConfig } from "../../coordinator/config/resolve.ts";
import type { Benchmark, BenchmarkOptions, Outcome } from "./benchmark.ts";
import { advice, cluster } from "./cluster.ts";
import { measuredBy, mnistFolder } from "./peer.ts";
import type { PeerRound } from "./peer.ts";
import { pythonWithTorch } from "./python.ts";
import { sameBits, shownBits } from "./same-bits.ts";
import { versus } from "./versus.ts";
import { LEARNING_RATE, textFile, warmUpOf } from "./workloads.ts";
import type { Workload } from "./workloads.ts";

const script = fileURLToPath(new URL("ddp.py", import.meta.url));

/** The peer's program and what it is told of a workload, behind torchrun and its options. */
export function peerProgram(workload: Workload): string[] {
  const options = {
    data: mnistFolder(),
    widths: workload.widths.join(","),
    convolutions: workload.convolutions?.join(",") ?? "",
    ...(workload.transformer && { transformer: JSON.stringify(workload.transformer), text: textFile }),
    batch: workload.batch,
    steps: workload.steps,
    "warm-up": warmUpOf(workload),
    "learning-rate": LEARNING_RATE,
    processors: availableParallelism(),
  };
  return [script, ...Object.entries(options).map(([name, value]) => `--${name}=${value}`)];
}

/** One round of it, started as its documentation says: by torchrun. */
function distributedDataParallel(python: string, processes: number, workload: Workload): Promise<PeerRound> {
  const launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", `${processes}`];
  return measuredBy(python, [...launch, ...peerProgram(workload)]);
}

/** @param path by which the bytes of Lockstep go, in words; @param changes what its config says for that */
function againstPyTorch(options: BenchmarkOptions, path: string, changes: TrainConfig): Promise<Outcome> {
  const { workers } = options;
  const python = pythonWithTorch(options.python);
  const ours = {
    name: "Lockstep",
    how: `coordinator + ${workers} workers${path}`,
    round: (workload: Workload) => cluster(workload, workers, changes),
  };
  const peer = python !== undefined && {
    name: "PyTorch",
    how: `DDP, gloo, ${workers} processes`,
    round: (workload: Workload) => distributedDataParallel(python, workers, workload),
  };
  return versus(options, ours, peer || undefined, async (workload, rounds) => {
    const bits = await sameBits(workload);
    const sentence = advice(rounds, workload, workers);
    return { lines: [shownBits(bits), `  ${sentence}`], facts: { bits, advice: sentence } };
  });
}

export const ddp: Benchmark = {
  about: "coordinator and workers against PyTorch DistributedDataParallel over gloo in as many processes",
  workloads: ["S", "M", "L", "C"],
  others: ["T"],
  run: (options) => againstPyTorch(options, "", {}),
};

export const sockets: Benchmark = {
  about: "the same with every byte over WebSockets, without shared memory",
  workloads: ["S", "M"],
  others: ["L", "C", "T"],
  run: (options) => againstPyTorch(options, ", WebSockets", { sharedMemory: false }),
};

export const transformer: Benchmark = {
  about: "ddp for what people train: the small convolutional network and the small transformer",
  workloads: ["C", "T"],
  others: ddp.workloads.filter((name) => name !== "C"),
  run: (options) => ddp.run(options),
};
