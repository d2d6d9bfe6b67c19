/** A compute thread: piscina loads this file in each and calls what it exports. */
import { parentPort } from "node:worker_threads";
import { workerData } from "piscina";
import { onnxRuntimeEngine } from "../engine/onnxruntime.ts";
import { TaskRunner } from "./runner.ts";
import type { Pace } from "./runner.ts";
import type { ComputeResult, ComputeTask, ThreadSetup } from "./task.ts";

/** A thread that waits for parameters looks up this often, in milliseconds, should it have missed that it is to stop. */
const LONGEST_WAIT = 20;

/** And first spins for so long: most parameters come sooner. */
const SPIN = 4;

const pace: Pace = {
  /** Blocks. Long vectors take a while, in which another thread may have better use for the processor. */
  wait: (arrivals, seen, isLong) => (isLong ? arrivals.wait(seen, LONGEST_WAIT) : arrivals.spin(seen, SPIN)),
  giveWay: () => {},
};

const runner = new TaskRunner(
  workerData as ThreadSetup,
  onnxRuntimeEngine(),
  (progress) => parentPort!.postMessage(progress),
  pace,
);

export default (tasks: readonly ComputeTask[]): Promise<ComputeResult[]> => runner.run(tasks);
