/**
 * `node tfjs-peer.ts WORKLOAD STEPS`: one round of TensorFlow.js, the milliseconds a step as one line of JSON. Its
 * WebAssembly backend with SIMD is the fastest that works: four times as fast as the plain one; its threads are for
 * browsers only; and @tensorflow/tfjs-node 4.22 calls functions of Node that Node 23 removed (tensorflow/tfjs#8609).
 */
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { openData } from "../../shared/data/open.ts";
import { permutation } from "../../shared/random.ts";
import { LEARNING_RATE, workloads } from "./workloads.ts";

/** What is used of the packages, whose own types are only there where they are installed. */
interface Tensor {
  dataSync(): Float32Array;
}
interface Variable {
  readonly val: Tensor;
}
interface TensorFlow {
  readonly version: { readonly tfjs: string };
  readonly layers: { dense(options: { units: number; activation?: "relu"; inputShape?: number[] }): unknown };
  readonly losses: { softmaxCrossEntropy(labels: Tensor, logits: Tensor): Tensor };
  readonly train: { sgd(rate: number): { minimize(loss: () => Tensor, read: boolean, variables: Tensor[]): Tensor } };
  setBackend(name: "wasm"): Promise<boolean>;
  sequential(options: { layers: unknown[] }): { apply(input: Tensor): Tensor; readonly trainableWeights: Variable[] };
  tensor2d(values: Float32Array, shape: [number, number]): Tensor;
  tensor1d(values: Int32Array, type: "int32"): Tensor;
  oneHot(indices: Tensor, depth: number): Tensor;
  tidy<Result>(action: () => Result): Result;
}
interface WasmBackend {
  setWasmPaths(folder: string): void;
}

const [, , name, stepsText] = process.argv;
const { widths, batch } = workloads.find((workload) => workload.name === name)!;
const steps = Number(stepsText);
const warmUp = 2;

const load = createRequire(import.meta.url);
const tf = load("@tensorflow/tfjs") as TensorFlow;
const wasm = load("@tensorflow/tfjs-backend-wasm") as WasmBackend;
wasm.setWasmPaths(join(dirname(load.resolve("@tensorflow/tfjs-backend-wasm/package.json")), "dist/"));
if (!(await tf.setBackend("wasm"))) throw new Error("TensorFlow.js' WebAssembly backend does not start");

const { train } = await openData({ kind: "mnist" });
const classes = widths.at(-1)!;
const model = tf.sequential({
  layers: widths.slice(1).map((units, index) =>
    tf.layers.dense({
      units,
      ...(index < widths.length - 2 ? { activation: "relu" } : {}),
      ...(index === 0 ? { inputShape: [widths[0]!] } : {}),
    }),
  ),
});
const variables = model.trainableWeights.map(({ val }) => val);
const optimizer = tf.train.sgd(LEARNING_RATE);
const order = permutation(1, 0, train.length);
const indices = new Uint32Array(batch);
const features = new Float32Array(batch * widths[0]!);
const targets = new Int32Array(batch);

let began = 0;
let loss = Number.NaN;
for (let step = 0; step < steps + warmUp; step++) {
  if (step === warmUp) began = performance.now();
  const first = (step * batch) % (train.length - batch);
  for (let row = 0; row < batch; row++) indices[row] = order(first + row);
  train.batch(indices, features, targets);
  tf.tidy(() => {
    const input = tf.tensor2d(features, [batch, widths[0]!]);
    const labels = tf.oneHot(tf.tensor1d(targets, "int32"), classes);
    const cost = optimizer.minimize(() => tf.losses.softmaxCrossEntropy(labels, model.apply(input)), true, variables);
    [loss] = cost.dataSync() as unknown as [number];
  });
}
const millisecondsAStep = (performance.now() - began) / steps;
console.log(JSON.stringify({ millisecondsAStep, loss, version: `${tf.version.tfjs} (wasm with SIMD)` }));
