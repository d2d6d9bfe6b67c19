/** Finds the facts about this machine that `lockstep doctor` judges. Nothing is left behind. */
import { accessSync, constants, existsSync, statfsSync, statSync } from "node:fs";
import { availableParallelism, totalmem } from "node:os";
import { dirname, resolve } from "node:path";
import { instantiateKernels } from "../../shared/kernels/index.ts";
import { Arena } from "../../shared/memory/arena.ts";
import { HostFile, placedBytes } from "../../shared/memory/host-memory.ts";
import { HOST_PAGE } from "../../shared/system.ts";
import { version } from "../../shared/version.ts";
import type { Facts } from "./diagnosis.ts";

/** Bytes of the partials of a network with a million parameters. */
const SHARED_BYTES = placedBytes(4_000_000);

export async function factsOfThisMachine(runs: string): Promise<Facts> {
  const limit = process.constrainedMemory();
  const limited = limit > 0 && limit < totalmem();
  const shared = HostFile.create(SHARED_BYTES);
  shared?.close();
  return {
    lockstep: version,
    node: process.versions.node,
    engine: await engine().catch((error: Error) => error),
    kernels: kernels(),
    cores: availableParallelism(),
    memory: { total: limited ? limit : totalmem(), available: process.availableMemory(), limited },
    sharesMemory: shared !== undefined,
    disk: disk(runs),
  };
}

/** The engine's name, after it has run a program whose answer is known. Rejects where it cannot be loaded or is wrong. */
async function engine(): Promise<string> {
  const { onnxRuntimeEngine } = await import("../../shared/engine/onnxruntime.ts");
  const { answerOf } = await import("../trained/evaluate.ts");
  const { layoutOf } = await import("../../shared/memory/layout.ts");
  const { compileModel } = await import("../../shared/nn/model.ts");
  const target = { kind: "values", width: 1 } as const;
  const layers = [{ kind: "dense", units: 1 }] as const;
  const model = compileModel({ inputShape: [2], target, layers, loss: { kind: "meanSquaredError" } });
  const layout = layoutOf(model.parameters);
  const parameters = new Float32Array(layout.size).fill(1);
  const { values } = await answerOf(
    model.predict,
    { layout, parameters, data: { train: { target } } },
    Float32Array.of(2, 3),
  );
  const { name } = onnxRuntimeEngine();
  if (values[0] !== 6) throw new Error(`${name} answers ${values[0]} where 6 is right`);
  return name;
}

/** Why the kernels of reduction and update cannot be used; undefined where they can. */
function kernels(): Error | undefined {
  try {
    instantiateKernels(new Arena(HOST_PAGE).memory);
    return undefined;
  } catch (error) {
    return error as Error;
  }
}

function disk(runs: string): Facts["disk"] {
  let folder = resolve(runs);
  // What does not exist yet is made in the nearest folder that does.
  while (!existsSync(folder)) folder = dirname(folder);
  try {
    if (!statSync(folder).isDirectory()) throw new Error("not a folder");
    accessSync(folder, constants.W_OK);
    const { bavail, bsize } = statfsSync(folder);
    return { folder, free: bavail * bsize };
  } catch (error) {
    return { folder, free: error as Error };
  }
}
