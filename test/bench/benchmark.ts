/** What a benchmark is to the command line: a name's worth of help, what it runs on by default, and the run itself. */
import type { Workload } from "./workloads.ts";

export interface BenchmarkOptions {
  readonly rounds: number;
  /** Processes that compute. */
  readonly workers: number;
  readonly workloads: readonly Workload[];
  /** A Python that has PyTorch. */
  readonly python: string | undefined;
  /** A folder for plots. */
  readonly svg: string | undefined;
}

export interface Benchmark {
  /** Half a sentence for --help. */
  readonly about: string;
  /** Names of the workloads it measures unless told otherwise. */
  readonly workloads: readonly string[];
  /** Names of others that it can measure. */
  readonly others?: readonly string[];
  /** Measures and prints; what it resolves with goes into the JSON file. */
  readonly run: (options: BenchmarkOptions) => Promise<Outcome>;
}

export interface Outcome {
  /** Of the peers it measured against. */
  readonly versions?: Readonly<Record<string, string>>;
  readonly results: unknown;
}
