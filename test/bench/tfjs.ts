/** Against TensorFlow.js: one process each, the same network, batch, optimiser and data. */
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import type { Benchmark } from "./benchmark.ts";
import { oneProcess } from "./one-process.ts";
import { measuredBy } from "./peer.ts";
import { versus } from "./versus.ts";
import type { Workload } from "./workloads.ts";

/** Lockstep itself needs none of them. */
const packages = { "@tensorflow/tfjs": "4.22.0", "@tensorflow/tfjs-backend-wasm": "4.22.0" };
const script = fileURLToPath(new URL("tfjs-peer.ts", import.meta.url));
/** It takes seconds for a step of M, and each is like the others. */
const STEPS_SHARE = 1 / 75;

function areInstalled(): boolean {
  const { resolve } = createRequire(import.meta.url);
  try {
    for (const name of Object.keys(packages)) resolve(`${name}/package.json`);
    return true;
  } catch {
    const wanted = Object.entries(packages).map(([name, version]) => `${name}@${version}`);
    console.log(`TensorFlow.js is not installed; to measure against it: npm install --no-save ${wanted.join(" ")}`);
    console.log("Until then, Lockstep alone:\n");
    return false;
  }
}

export const tfjs: Benchmark = {
  about: "one process against TensorFlow.js in one process",
  workloads: ["S", "M"],
  run(options) {
    const ours = { name: "Lockstep", how: "one process", round: oneProcess };
    const peer = {
      name: "TensorFlow.js",
      how: "one process",
      round: ({ name, steps }: Workload) =>
        measuredBy(process.execPath, [script, name, `${Math.max(3, Math.ceil(STEPS_SHARE * steps))}`]),
    };
    return versus(options, ours, areInstalled() ? peer : undefined);
  },
};
