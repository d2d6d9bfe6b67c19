/**
 * Whether Lockstep learns what PyTorch learns: the small transformer from the same parameters on the same minibatches of a text,
 * the loss of every step and that on a held-out part side by side. It fails where they differ by more than a thousandth from
 * PyTorch's in doubles. In floats PyTorch differs from itself by more: this training is unstable from about step 130 on, and
 * another order of additions is enough.
 */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { configFromObject } from "../../coordinator/config/resolve.ts";
import { modelFor } from "../../coordinator/model/model.ts";
import { startRun } from "../../coordinator/run/run.ts";
import { encodeSafetensors } from "../../shared/checkpoint/safetensors.ts";
import { openData } from "../../shared/data/open.ts";
import { layoutOf, slotView } from "../../shared/memory/layout.ts";
import { initialParameters } from "../../shared/nn/model.ts";
import { permutation } from "../../shared/random.ts";
import type { Benchmark } from "./benchmark.ts";
import { measuredBy } from "./peer.ts";
import { pythonWithTorch } from "./python.ts";
import { configOf, LEARNING_RATE, titleOf } from "./workloads.ts";
import type { Workload } from "./workloads.ts";

const script = fileURLToPath(new URL("curves.py", import.meta.url));
/** A text that every installation of this repository has: a browser's interfaces with their explanations. */
const text = join(dirname(createRequire(import.meta.url).resolve("playwright-core/package.json")), "types/types.d.ts");

const STEPS = 200;
const HELD_OUT_SAMPLES = 500;
/** The relative difference that is allowed. */
const MOST = 1e-3;

interface Curve {
  readonly losses: readonly number[];
  readonly heldOut: number;
}

/** Files for both: texts whose samples are exactly one epoch and a test, starting values, and the order of the samples. */
async function prepare(folder: string, workload: Workload) {
  const { batch, transformer } = workload;
  const length = transformer!.length;
  const file = (name: string): string => join(folder, name);
  const bytes = await readFile(text);
  const end = STEPS * batch * length;
  await writeFile(file("train.txt"), bytes.subarray(0, end + 1));
  await writeFile(file("test.txt"), bytes.subarray(end, end + HELD_OUT_SAMPLES * length + 1));
  const config = configOf({ ...workload, steps: STEPS }, file("runs"), {
    data: { kind: "text", train: file("train.txt"), test: file("test.txt"), length, predict: "each" },
    epochs: 1,
    evaluateEvery: 1,
  });
  const resolved = configFromObject(config);
  const { train } = await openData(resolved.data);
  const model = await modelFor(resolved, train);
  const layout = layoutOf(model.parameters);
  const vector = new Float32Array(layout.size);
  initialParameters(model, layout, resolved.seed, vector);
  const tensors = model.parameters.map(({ name, shape }) => ({ name, shape, values: slotView(layout, name, vector) }));
  await writeFile(file("weights.safetensors"), encodeSafetensors({ tensors, metadata: {} }));
  const at = permutation(resolved.seed, 0, train.length);
  const order = Array.from({ length: STEPS }, (_, step) =>
    Array.from({ length: batch }, (_sample, row) => at(step * batch + row)),
  );
  await writeFile(file("order.json"), JSON.stringify(order));
  return { file, config: { ...config, model: { ...config.model, weights: { file: file("weights.safetensors") } } } };
}

async function ours(config: Parameters<typeof configFromObject>[0], workers: number): Promise<Curve> {
  const losses: number[] = [];
  const run = await startRun({
    config: configFromObject(config),
    resume: false,
    localWorkers: workers,
    onEvent: (event) => void (event.type === "step" && losses.push(event.loss)),
  });
  const { testLoss } = await run.finished;
  return { losses, heldOut: testLoss! };
}

const difference = (one: number, other: number): number => Math.abs(one - other) / Math.abs(other);

/** The largest relative difference of a step's loss, and that of the held-out loss. */
const apart = (one: Curve, other: Curve): readonly [number, number] => [
  Math.max(...one.losses.map((loss, step) => difference(loss, other.losses[step]!))),
  difference(one.heldOut, other.heldOut),
];

export const curves: Benchmark = {
  about: "the small transformer from the same parameters on the same minibatches as PyTorch: are the losses the same?",
  workloads: ["T"],
  async run({ workloads, workers, python: given }) {
    const python = pythonWithTorch(given);
    if (python === undefined) return { results: [] };
    const results = [];
    const versions: Record<string, string> = {};
    for (const workload of workloads) {
      const folder = await mkdtemp(join(tmpdir(), "lockstep-bench-"));
      try {
        const { file, config } = await prepare(folder, workload);
        const options = {
          transformer: JSON.stringify(workload.transformer),
          weights: file("weights.safetensors"),
          train: file("train.txt"),
          test: file("test.txt"),
          order: file("order.json"),
          "learning-rate": LEARNING_RATE,
        };
        const args = Object.entries(options).map(([name, value]) => `--${name}=${value}`);
        const measured = (precision: string) =>
          measuredBy<Curve & { version: string }>(python, [script, ...args, `--precision=${precision}`]);
        const peer = await measured("float64");
        const inFloats = await measured("float32");
        const own = await ours(config, workers);
        versions["PyTorch"] = peer.version;
        if (own.losses.length !== STEPS || peer.losses.length !== STEPS)
          throw new Error(`${own.losses.length} and ${peer.losses.length} steps were taken, not ${STEPS}`);
        const [largest, heldOut] = apart(own, peer);
        console.log(
          `${titleOf(workload)}, ${STEPS} steps: ${workers} workers, PyTorch ${peer.version} in doubles and in floats`,
        );
        const row = (what: string, of: (curve: Curve) => number): void =>
          console.log(`  ${what.padEnd(17)} ${[own, peer, inFloats].map((curve) => of(curve).toFixed(6)).join(", ")}`);
        for (const step of [1, 50, 100, 150, STEPS]) row(`loss of step ${step}`, ({ losses }) => losses[step - 1]!);
        row("held-out loss", (curve) => curve.heldOut);
        const said = ([step, end]: readonly [number, number]): string =>
          `at most ${step.toExponential(1)} in a step, ${end.toExponential(1)} held out`;
        console.log(`  relative to doubles Lockstep differs by ${said([largest, heldOut])} (allowed ${MOST});`);
        console.log(`  PyTorch in floats by ${said(apart(inFloats, peer))}\n`);
        if (!(largest <= MOST && heldOut <= MOST)) throw new Error("Lockstep and PyTorch do not learn the same");
        results.push({ workload, lockstep: own, peer, inFloats, largest, heldOut });
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    }
    return { versions, results };
  },
};
