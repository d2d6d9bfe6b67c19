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

/** What else is said of Lockstep under a workload, and goes into the results. */
type Remarks<Round> = (
  workload: Workload,
  rounds: readonly Round[],
) => Promise<{ readonly lines: readonly string[]; readonly facts: Readonly<Record<string, unknown>> }>;

export async function versus<Round extends Timed>(
  { rounds, workloads }: BenchmarkOptions,
  ours: Contestant<Round>,
  peer: Contestant<PeerRound> | undefined,
  remarks: Remarks<Round> = async () => ({ lines: [], facts: {} }),
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
    const { lines, facts } = await remarks(workload, lockstep);
    const others = other.filter((round) => round !== undefined);
    if (peer === undefined) {
      console.log([...lines, ""].join("\n"));
      results.push({ workload, lockstep, ...facts });
      continue;
    }
    versions[peer.name] = others[0]!.version;
    const ratio = speedup(lockstep, others);
    console.log(line(`${peer.name} ${versions[peer.name]}, ${peer.how}`, stepTimes(others), workload));
    console.log(`  ${ours.name} trains ${shown(ratio)} times the samples/s of ${peer.name}`);
    console.log([...lines, ""].join("\n"));
    results.push({ workload, lockstep, peer: others, speedup: ratio, ...facts });
  }
  return { versions, results };
}
