/**
 * The optimizers against PyTorch: every optimizers*.json here, every trajectory in it by its name, through the real
 * kernels. References are float64; the relative error ‖a − b‖ / ‖b‖ must be below 1e-5 after every step.
 */
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { instantiateKernels } from "../../shared/kernels/index.ts";
import { Arena } from "../../shared/memory/arena.ts";
import { globalNorm } from "../../shared/optim/norm.ts";
import { optimizerOf } from "../../shared/optim/optimizer.ts";
import type { OptimizerSpec } from "../../shared/optim/spec.ts";

/** What each trajectory's name stands for, see README.md. */
const specs: Record<string, OptimizerSpec> = {
  sgd: { kind: "sgd", learningRate: 0.1 },
  "sgd-momentum": { kind: "sgd", learningRate: 0.1, momentum: 0.9 },
  "sgd-nesterov": { kind: "sgd", learningRate: 0.1, momentum: 0.9, nesterov: true },
  "sgd-weight-decay": { kind: "sgd", learningRate: 0.1, momentum: 0.9, weightDecay: 0.01 },
  adam: { kind: "adam", learningRate: 0.01 },
  adamw: { kind: "adamw", learningRate: 0.01, weightDecay: 0.1 },
  rmsprop: { kind: "rmsprop", learningRate: 0.01 },
  adagrad: { kind: "adagrad", learningRate: 0.1 },
};

interface GoldenArray {
  readonly dtype: "float32" | "float64";
  readonly data: string;
}
interface Golden {
  readonly start: GoldenArray;
  readonly gradients: readonly GoldenArray[];
  readonly trajectories: Readonly<Record<string, readonly GoldenArray[]>>;
  readonly clipByGlobalNorm?: {
    readonly gradient: GoldenArray;
    readonly maxNorm: number;
    readonly norm: number;
    readonly clipped: GoldenArray;
  };
}

function numbersOf({ dtype, data }: GoldenArray): number[] {
  const { buffer } = Uint8Array.from(Buffer.from(data, "base64"));
  return [...(dtype === "float32" ? new Float32Array(buffer) : new Float64Array(buffer))];
}

function relativeError(actual: Iterable<number>, expected: readonly number[]): number {
  const differences = Array.from(actual, (value, index) => value - expected[index]!);
  expect(differences).toHaveLength(expected.length);
  return Math.hypot(...differences) / Math.hypot(...expected);
}

/** Takes steps from `start` with one gradient each, samples 1; yields the parameters after each. */
function* trajectory(spec: OptimizerSpec, start: readonly number[], gradients: readonly (readonly number[])[]) {
  const optimizer = optimizerOf(spec);
  const count = start.length;
  const blockFloats = (1 + optimizer.stateNames.length) * count;
  const arena = new Arena(4 * (2 * blockFloats + count) + 192);
  const kernels = instantiateKernels(arena.memory);
  const gradient = arena.allocate(4 * count);
  let from = arena.allocate(4 * blockFloats);
  let to = arena.allocate(4 * blockFloats);
  arena.floats(from, count).set(start);
  for (const [index, values] of gradients.entries()) {
    arena.floats(gradient, count).set(values);
    const { learningRate } = spec;
    optimizer.update(kernels, { from, to, gradient, count, samples: 1, stepNumber: index + 1, learningRate });
    [from, to] = [to, from];
    yield [...arena.floats(from, count)];
  }
}

const folder = new URL("./", import.meta.url);
const files = readdirSync(folder).filter((name) => /^optimizers.*\.json$/.test(name));

it("finds the reference file", () => expect(files).toContain("optimizers.json"));

describe.each(files)("%s", (file) => {
  const golden: Golden = JSON.parse(readFileSync(new URL(file, folder), "utf8"));
  const start = numbersOf(golden.start);
  const gradients = golden.gradients.map(numbersOf);

  it.each(Object.keys(golden.trajectories))("%s", (name) => {
    const spec = specs[name];
    if (spec === undefined) throw new Error(`no optimizer is known by the trajectory's name "${name}"`);
    const expected = golden.trajectories[name]!.map(numbersOf);
    const actual = [...trajectory(spec, start, gradients)];
    expect(actual).toHaveLength(expected.length);
    for (const [step, parameters] of expected.entries()) {
      expect(relativeError(actual[step]!, parameters), `after step ${step + 1}`).toBeLessThan(1e-5);
    }
  });

  const clip = golden.clipByGlobalNorm;
  it.skipIf(clip === undefined)("clips by the global norm", () => {
    if (clip === undefined) return;
    const gradient = numbersOf(clip.gradient);
    const arena = new Arena(4 * gradient.length);
    const vector = arena.allocate(4 * gradient.length);
    arena.floats(vector, gradient.length).set(gradient);
    const norm = globalNorm(instantiateKernels(arena.memory), vector, gradient.length);
    expect(Math.abs(norm - clip.norm) / clip.norm).toBeLessThan(1e-5);
    // From 0 with rate 1, plain gradient descent arrives at the clipped gradient's negative.
    const spec: OptimizerSpec = { kind: "sgd", learningRate: 1, clipNorm: clip.maxNorm };
    const [parameters] = trajectory(
      spec,
      gradient.map(() => 0),
      [gradient],
    );
    expect(
      relativeError(
        parameters!.map((value) => -value),
        numbersOf(clip.clipped),
      ),
    ).toBeLessThan(1e-5);
  });
});
