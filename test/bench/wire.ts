/** The exchange of a step alone, without computing: what each path for the bytes costs in time and in processor time. */
import { table } from "../../coordinator/cli/table.ts";
import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { compileSooner, tuneGarbageCollection } from "../../shared/v8.ts";
import type { Benchmark } from "./benchmark.ts";
import { alternate, shown, spread } from "./measure.ts";
import { checkStamp, paths, stamp } from "./wire/paths.ts";
import type { PathName } from "./wire/paths.ts";
import { parametersOf, titleOf, warmUpOf } from "./workloads.ts";
import type { Workload } from "./workloads.ts";

const program = fileURLToPath(new URL("wire/peer.ts", import.meta.url));

/** Of one exchange, in milliseconds; processor time is that of all processes. */
interface WireRound {
  readonly milliseconds: number;
  readonly cpuMilliseconds: number;
}

const message = async <Message>(peer: ChildProcess): Promise<Message> => {
  const [said] = (await once(peer, "message")) as [Message];
  return said;
};

/** Processor time used so far, in milliseconds. */
async function cpu(peers: readonly ChildProcess[]): Promise<number> {
  const usages = peers.map((peer) => {
    peer.send("usage");
    return message<NodeJS.CpuUsage>(peer);
  });
  const all = [process.cpuUsage(), ...(await Promise.all(usages))];
  return all.reduce((sum, { user, system }) => sum + user + system, 0) / 1000;
}

/** A vector's length: whole lines of 64 bytes, as Lockstep's layouts have it. */
const bytesOf = (workload: Workload): number => 64 * Math.ceil(parametersOf(workload) / 16);

/** @param count peers; each is sent the parameters and sends as many bytes back */
export async function exchanges(name: PathName, workload: Workload, count: number): Promise<WireRound> {
  // As every process of Lockstep does when its steps begin.
  tuneGarbageCollection();
  compileSooner({ well: false });
  const bytes = bytesOf(workload);
  const parent = await paths[name].open(bytes, count);
  if (parent === undefined) throw new Error(`${paths[name].name} is not to be had any more`);
  const { parameters, gradients, addresses } = parent;
  const peers = addresses.map((address) => fork(program, [name, address, `${bytes}`]));
  const ended = peers.map((peer) => once(peer, "exit"));
  try {
    for (const address of await Promise.all(peers.map((peer) => message<string>(peer)))) await parent.add(address);
    let exchange = 0;
    const repeat = async (times: number): Promise<void> => {
      for (let time = 0; time < times; time++) {
        exchange += 1;
        stamp(parameters, exchange);
        await parent.exchange();
        for (const received of gradients) checkStamp(received, exchange);
      }
    };
    const warmUp = warmUpOf(workload);
    const timed = workload.steps - warmUp;
    await repeat(warmUp);
    const [used, began] = [await cpu(peers), performance.now()];
    await repeat(timed);
    const elapsed = performance.now() - began;
    return { milliseconds: elapsed / timed, cpuMilliseconds: ((await cpu(peers)) - used) / timed };
  } finally {
    parent.close();
    for (const peer of peers) peer.kill("SIGKILL");
    await Promise.all(ended);
  }
}

/** The paths this system has. */
async function available(bytes: number, peers: number): Promise<PathName[]> {
  const names: PathName[] = [];
  for (const name of Object.keys(paths) as PathName[]) {
    const parent = await paths[name].open(bytes, peers);
    if (parent === undefined) console.log(`${paths[name].name}: this system has no such memory, or too little`);
    else names.push(name);
    parent?.close();
  }
  return names;
}

export const wire: Benchmark = {
  about: "the exchange of gradients and parameters alone: Lockstep's path against raw TCP sockets",
  workloads: ["M"],
  others: ["S", "L"],
  async run({ rounds, workers, workloads }) {
    const results = [];
    for (const workload of workloads) {
      const names = await available(bytesOf(workload), workers);
      const round = (name: PathName) => [name, () => exchanges(name, workload, workers)] as const;
      const measured = await alternate(titleOf(workload), rounds, Object.fromEntries(names.map(round)));
      const moved = 2 * workers * bytesOf(workload);
      const rows = names.map((name) => {
        const own = measured[name]!;
        const times = (other: PathName): string =>
          shown(spread(own.map(({ milliseconds }, index) => milliseconds / measured[other]![index]!.milliseconds)));
        return [
          paths[name].name,
          shown(spread(own.map(({ milliseconds }) => milliseconds))),
          shown(spread(own.map(({ cpuMilliseconds }) => cpuMilliseconds))),
          shown(spread(own.map(({ cpuMilliseconds }) => (1e6 * cpuMilliseconds) / moved))),
          times("tcpCopied"),
          times("tcpInPlace"),
        ];
      });
      const megabytes = (bytesOf(workload) / 1e6).toFixed(2);
      console.log(`${titleOf(workload)}: ${megabytes} MB to and ${megabytes} MB from each of ${workers} processes`);
      console.log(
        `${table([["", "ms", "CPU ms", "CPU ns a byte", "times TCP, copied", "times TCP, in place"], ...rows])}\n`,
      );
      results.push({ workload, ...measured });
    }
    return { results };
  },
};
