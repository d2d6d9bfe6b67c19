/** A compute thread: piscina loads this file in each and calls what it exports. */
import { parentPort } from "node:worker_threads";
import { workerData } from "piscina";
import { onnxRuntimeEngine } from "../engine/onnxruntime.ts";
import { TaskRunner } from "./runner.ts";
import type { ComputeResult, ComputeTask, ThreadSetup } from "./task.ts";

const runner = new TaskRunner(workerData as ThreadSetup, onnxRuntimeEngine(), (progress) =>
  parentPort!.postMessage(progress),
);

export default (tasks: readonly ComputeTask[]): Promise<ComputeResult[]> => runner.run(tasks);
