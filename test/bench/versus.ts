/** Lockstep and another trainer, in alternation, on every workload; Lockstep alone where the other one is not there. */
import { version } from "../../shared/version.ts";
import type { BenchmarkOptions, Outcome } from "./benchmark.ts";
import { alternate, line, shown, speedup, stepTimes } from "./measure.ts";
import type { Timed } from "./measure.ts";
import type { PeerRound } from "./peer.ts";
import { titleOf } from "./workloads.ts";
import type { Workload } from "./workloads.ts";

interface Contestant<Round> {
  readonly name: string;
  /** How it is run, for its line: `one process`. */
  readonly how: string;
  readonly round: (workload: Workload) => Promise<Round>;
}

export async function versus(
  { rounds, workloads }: BenchmarkOptions,
  ours: Contestant<Timed>,
  peer: Contestant<PeerRound> | undefined,
): Promise<Outcome> {
  const results = [];
  const versions: Record<string, string> = {};
  for (const workload of workloads) {
    const title = titleOf(workload);
    const { lockstep, other } = await alternate(title, rounds, {
      lockstep: () => ours.round(workload),
      other: async () => peer?.round(workload),
    });
    console.log(`${title}, ms a step`);
    console.log(line(`${ours.name} ${version}, ${ours.how}`, stepTimes(lockstep), workload));
    const others = other.filter((round) => round !== undefined);
    if (peer === undefined) {
      results.push({ workload, lockstep });
      continue;
    }
    versions[peer.name] = others[0]!.version;
    const ratio = speedup(lockstep, others);
    console.log(line(`${peer.name} ${versions[peer.name]}, ${peer.how}`, stepTimes(others), workload));
    console.log(`  ${ours.name} trains ${shown(ratio)} times the samples/s of ${peer.name}\n`);
    results.push({ workload, lockstep, peer: others, speedup: ratio });
  }
  return { versions, results };
}
